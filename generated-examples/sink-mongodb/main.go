// Command sink-mongodb writes the records of Danube topics to MongoDB.
package main

import "github.com/danube-messaging/danube-connect-go/runtime/connect"

func main() {
	connect.RunSink("mongodb", open)
}
