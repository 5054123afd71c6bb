package connect

// A Secret is a configuration value that never shows itself: every way of printing or encoding it gives asterisks. Convert it with
// string(s) where it is used and nowhere else.
type Secret string

const mask = "******"

// String gives asterisks, or nothing when the secret is empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString gives what String gives, for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText gives what String gives, for JSON and every other encoder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Masked marks the type for documentation and messages.
func (s Secret) Masked() {}
