// Package connecttest runs the delivery contract against a connector: one call from its test, [Sink] or [Source], starts a broker
// in the process, makes it and the connector fail in the ways that happen in production, and checks that nothing was lost,
// reordered or written where it must not be. New cases come to existing connectors with a new version of the runtime.
//
// [SinkFiles] and [SourceFiles] check that a repository's sample configuration, JSON Schema and README say what its config struct
// says.
package connecttest
