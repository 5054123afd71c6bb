// Command sink-http sends the records of Danube topics to an HTTP endpoint.
package main

import "github.com/danube-messaging/danube-connect-go/runtime/connect"

func main() {
	connect.RunSink("http", open)
}
