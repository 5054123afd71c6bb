// Package schemapb holds the wire types of Danube's schema registry, generated from SchemaRegistry.proto.
package schemapb
