// Command source-file publishes the lines of files to Danube.
package main

import "github.com/danube-messaging/danube-connect-go/runtime/connect"

func main() {
	connect.RunSource("file", open)
}
