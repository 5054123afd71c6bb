// Command pack packs the runtime for a module proxy and prints the linker flags of a danube-connect-gen that pins it:
//
//	go build -ldflags "$(go run ./internal/runtimepack/pack -version v0.1.0 -proxy DIR)" ./cmd/danube-connect-gen
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/danube-messaging/danube-connect-go/internal/runtimepack"
)

func main() {
	dir := flag.String("dir", "runtime", "directory of the runtime's module")
	version := flag.String("version", "v0.1.0", "version to pack it as")
	proxy := flag.String("proxy", ".tmp/proxy", "directory to write to; use it as GOPROXY=file://…")
	flag.Parse()
	sums, err := runtimepack.Pack(*dir, *version, *proxy)
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
	fmt.Println(sums.LDFlags(*version))
}
