package danube

import (
	"hash/fnv"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var topicForm = regexp.MustCompile(`^/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+$`)

// partitionInfix stands between a topic's name and a partition's number; the broker knows partitions by name alone.
const partitionInfix = "-part-"

// CheckTopic returns nil when name has the form /namespace/topic that every Danube broker takes. It is stricter than the broker,
// which lets pass some names that nobody can use afterwards, such as those with empty parts. The error is [ErrName].
func CheckTopic(name string) error {
	if !topicForm.MatchString(name) {
		return errTopicForm(name)
	}
	if strings.Contains(name, partitionInfix) {
		return badName("topic %q contains %q, which the broker reserves for the partitions that it names itself", name, partitionInfix)
	}
	return nil
}

func errTopicForm(name string) error {
	return badName("topic %q is not of the form /namespace/topic (letters, digits, _ and -), for example /default/events", name)
}

// PartitionName is the topic of partition i of the partitioned topic base.
func PartitionName(base string, i int) string {
	return base + partitionInfix + strconv.Itoa(i)
}

// partitionOf tells which partition of base name is: -1 for base itself, ok false for a foreign topic.
func partitionOf(base, name string) (i int, ok bool) {
	if name == base {
		return -1, true
	}
	digits, found := strings.CutPrefix(name, base+partitionInfix)
	if !found {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	if err != nil || strconv.FormatUint(n, 10) != digits {
		return 0, false
	}
	return int(n), true
}

// ownPartitions picks from a TopicPartitions answer what belongs to base, in order of number. The broker answers with every topic
// whose name starts with base, other people's included, and in byte order (-part-10 before -part-2).
func ownPartitions(base string, names []string) []int {
	var own []int
	for _, name := range names {
		if i, ok := partitionOf(base, name); ok {
			own = append(own, i)
		}
	}
	slices.Sort(own)
	return slices.Compact(own)
}

// keyPartition is the partition of a keyed message: FNV-1a 64 over the key's bytes, modulo n, as in all official clients.
func keyPartition(key string, n int) int {
	h := fnv.New64a()
	h.Write([]byte(key))
	return int(h.Sum64() % uint64(n))
}

// splitPartition splits the number off the name of a partition; it is -1 for the name of a topic.
func splitPartition(name string) (base string, i int) {
	if at := strings.LastIndex(name, partitionInfix); at >= 0 {
		if i, ok := partitionOf(name[:at], name); ok {
			return name[:at], i
		}
	}
	return name, -1
}
