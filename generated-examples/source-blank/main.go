// Command source-blank publishes the lines of a file of JSON lines to Danube.
package main

import "github.com/danube-messaging/danube-connect-go/runtime/connect"

func main() {
	connect.RunSource("source", open)
}
