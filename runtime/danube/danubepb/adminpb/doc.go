// Package adminpb holds the wire types of a Danube broker's admin API, generated from DanubeAdmin.proto.
package adminpb
