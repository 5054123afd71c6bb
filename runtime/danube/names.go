package danube

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is how many bytes a name may have. The broker has no limit of its own; its metadata and metrics repeat names all the time.
const maxName = 255

// A nameError is a name that is not valid; it is [ErrName].
type nameError struct{ text string }

func (e nameError) Error() string { return e.text }
func (e nameError) Unwrap() error { return ErrName }

func badName(format string, args ...any) error { return nameError{fmt.Sprintf(format, args...)} }

// CheckName returns nil when name can be that of a subscription, consumer or producer, which what says for the error's text. It is
// stricter than the broker, which takes any text but keeps these names as parts of paths. The error is [ErrName].
func CheckName(what, name string) error {
	switch {
	case name == "":
		return badName("%s name is empty; give it one, such as orders-to-mongodb", what)
	case len(name) > maxName:
		return badName("%s name of %d bytes is too long; at most %d are allowed", what, len(name), maxName)
	case !utf8.ValidString(name):
		return badName("%s name %q is not UTF-8", what, name)
	case strings.ContainsFunc(name, func(r rune) bool { return r == '/' || !unicode.IsPrint(r) }), strings.TrimSpace(name) != name:
		return badName("%s name %q has a slash, a control character, or white space around it; letters, digits, _, - and . are safe", what, name)
	}
	return nil
}

// CheckKeyFilters returns nil when filters can be those of a consumer of type t. The broker checks nothing, and messages of keys that no
// filter takes are lost to the subscription, so what only looks like a pattern is refused: * stands for any run, ? for one byte, and all
// else for itself. The error is [ErrName].
func CheckKeyFilters(t SubscriptionType, filters []string) error {
	if len(filters) > 0 && t != KeyShared {
		return badName("key filters have no effect on %s subscriptions; leave them out, or subscribe as KeyShared", t)
	}
	for _, f := range filters {
		switch {
		case f == "":
			return badName("a key filter is empty and would take messages with an empty key only; write * for all")
		case len(f) > maxName:
			return badName("key filter of %d bytes is too long; at most %d are allowed", len(f), maxName)
		case !utf8.ValidString(f):
			return badName("key filter %q is not UTF-8", f)
		case strings.ContainsAny(f, `[]{}\`):
			return badName(`key filter %q has one of []{}\, which would stand for itself; write ? for any one byte or * for any run`, f)
		}
	}
	return nil
}

// check says what is wrong with s before anything is asked of the broker.
func (s *ConsumerSettings) check() error {
	if err := CheckTopic(s.Topic); err != nil {
		return err
	}
	if err := CheckName("subscription", s.Subscription); err != nil {
		return err
	}
	if err := CheckName("consumer", s.Name); err != nil {
		return err
	}
	return CheckKeyFilters(s.Type, s.KeyFilters)
}

func (s *ProducerSettings) check() error {
	if err := CheckTopic(s.Topic); err != nil {
		return err
	}
	return CheckName("producer", s.Name)
}
