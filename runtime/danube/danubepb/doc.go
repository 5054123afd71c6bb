// Package danubepb holds the wire types of a Danube broker's client API, generated from DanubeApi.proto.
//
// Package, message and field names and numbers are the broker's, so the bytes are those of every official client. The
// schema registry and the admin API are in schemapb and adminpb. `make proto` regenerates all three.
package danubepb
