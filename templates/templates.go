// Package templates holds the files that generated repositories are made of, in layers: common for every connector, sink and source
// for the blank connector of each kind, systems/<system>/<kind> for one external system. A file's path below its layer, less the
// ending .tmpl, is its path in the repository; where two layers have the same path the later one wins. Package render reads them.
package templates

import "embed"

// FS is the tree of layers. Names that start with a dot are in it (`all:`), because repositories have such files.
//
//go:embed all:common all:sink all:source all:systems
var FS embed.FS
