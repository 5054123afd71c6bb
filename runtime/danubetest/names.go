package danubetest

import (
	"strconv"
	"strings"
	"unicode"
)

// validTopic says whether the real broker accepts the name: exactly two slashes, and letters, digits, '_' and '-' between them.
func validTopic(name string) bool {
	parts := strings.Split(name, "/")
	if len(parts) != 3 {
		return false
	}
	for _, r := range parts[0] + parts[1] + parts[2] {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != '_' && r != '-' {
			return false
		}
	}
	return true
}

// namespaceOf returns the namespace of a valid topic name.
func namespaceOf(topic string) string { return strings.Split(topic, "/")[1] }

// partitionBase returns the name before "-part-<digits>", and whether topic ends like that.
func partitionBase(topic string) (base string, ok bool) {
	i := strings.LastIndex(topic, "-part-")
	if i < 0 {
		return "", false
	}
	digits := topic[i+len("-part-"):]
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	return topic[:i], true
}

// partitionName is the name of partition i of a base name.
func partitionName(base string, i int) string { return base + "-part-" + strconv.Itoa(i) }
