package connect

import "slices"

// spoolConfig says how messages wait on the local disk for a target that is away or slow.
type spoolConfig struct {
	Mode     string `toml:"mode" env:"SPOOL_MODE" default:"auto" doc:"auto: messages wait on the local disk, acknowledged, when the broker might have to wait for them; always: each goes there first, and batches fill up to batch_size; off: messages stay with the broker, which drops those beyond its window and 256 more."`
	Dir      string `toml:"dir" env:"SPOOL_DIR" default:"spool" doc:"Folder of the spool; it must outlive the process."`
	MaxBytes int64  `toml:"max_bytes" env:"SPOOL_MAX_BYTES" default:"10737418240" doc:"Most bytes on disk for each topic."`
	Sync     string `toml:"sync" env:"SPOOL_SYNC" default:"group" doc:"group: a message is on the disk before it is acknowledged, many with one sync; os: the operating system writes it within seconds, so it survives the end of the process but not of the machine."`
	WhenFull string `toml:"when_full" env:"SPOOL_WHEN_FULL" default:"pause" doc:"pause: further messages stay with the broker until there is room; stop: the connector ends with an error."`
}

// Values of the spool's options.
const (
	syncGroup = "group"
	syncOS    = "os"
	fullPause = "pause"
	fullStop  = "stop"
)

func (c spoolConfig) check() []error {
	var errs problems
	oneOf := func(key, value string, known ...string) {
		if !slices.Contains(known, value) {
			errs.addf("spool."+key, "%q is not known; write one of %q", value, known)
		}
	}
	oneOf("mode", c.Mode, SpoolAuto, SpoolAlways, SpoolOff)
	oneOf("sync", c.Sync, syncGroup, syncOS)
	oneOf("when_full", c.WhenFull, fullPause, fullStop)
	if c.Mode != SpoolOff && c.Dir == "" {
		errs.addf("spool.dir", `is empty; name a folder that outlives the process, or set spool.mode = "off"`)
	}
	if c.MaxBytes < minSpoolBytes {
		errs.addf("spool.max_bytes", "%d is less than %d, so that not even a few large messages fit", c.MaxBytes, minSpoolBytes)
	}
	return errs
}

// minSpoolBytes holds several of the largest messages.
const minSpoolBytes = 64 << 20

func (c spoolConfig) settings() SpoolSettings {
	return SpoolSettings{
		Mode: c.Mode, Dir: c.Dir, MaxBytes: c.MaxBytes, NoSync: c.Sync == syncOS, StopWhenFull: c.WhenFull == fullStop,
	}
}
