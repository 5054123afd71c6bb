// Package pack puts many records into one Danube message and takes them out again. docs/packing.md has the formats byte by byte.
//
// A broker counts messages: its window, its ring of 256 and one publish in flight limit messages a second, whatever their size. A pack of a
// hundred records makes each of these limits a hundred times as wide.
//
// [Packer] writes the formats [Framed] and [NDJSON] and marks the message by attributes. [Open] reads what is so marked, and lines and
// arrays of JSON from other producers where [Mode] says so.
//
//   - A pack is checked as a whole before its first record is handed out, so a pack is either read to its end or rejected with all its bytes
//     and a [DamageError]. Half a pack would be worse: what follows the damage could only be kept by cutting the pack up, and whoever looks
//     at the dead letter would have to find out which of its records were written.
//   - Checking allocates nothing that depends on a number in the message, and each record costs time in proportion to its bytes.
//   - Payloads are slices of the message. Skipping a record neither copies nor allocates.
//   - A record of a pack that is itself marked as a pack is not looked into; [Packer] takes none.
package pack
