// Package bench measures the runtime against the raw limit of the same work, in the same run on the same machine: what the client alone
// does with the same broker. Quote the ratios; absolute figures belong to the machine.
package bench
