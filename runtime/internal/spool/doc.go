// Package spool keeps messages on disk that a sink has taken from the broker and not yet written to its target.
//
// From the moment that Sync returned for a message it is acknowledged to the broker, so the spool is then its only copy. The rest follows
// from that:
//
//   - Messages lie in a [seglog] in order of their arrival. A torn tail can only hold messages that nobody acknowledged, so it is cut off
//     and reported; anything else that is wrong with the files is a [seglog.DamageError], and the spool does not open: a start that
//     forgets would lose what was acknowledged.
//   - Settled messages, written to the target or put away, may come in any order. The watermark, below which all are settled, is made
//     durable by Save. A crash between a write and Save writes the messages above the watermark again, in order.
//   - After a crash the broker delivers again what was appended while its acknowledgement was lost, be it settled or not. The newest
//     messages are recognised by their identity, never by their offset, which begins anew when a broker restarts.
//   - Room is what bytes of files allow. Settled messages that are kept only to be recognised go when it runs short, so a spool of which
//     all is settled takes any message that is not larger than itself.
//   - With Options.NoSync the machine may forget the newest messages although it knows that they are settled. The mark goes back to the
//     end of what is there then, since their places are given anew.
//   - A disk that is full, gone or read-only fails Append or Sync: what was not synced counts as not appended and stays the broker's.
//     Appending works again once the disk does; after a failed fsync only in a spool that was opened anew.
package spool
