// Command sink-blank appends the records of Danube topics to a file of JSON lines.
package main

import "github.com/danube-messaging/danube-connect-go/runtime/connect"

func main() {
	connect.RunSink("sink", open)
}
