package schema

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A jsonSchema is a compiled JSON schema and what the rules of compatibility look at: its top level.
type jsonSchema struct {
	compiled   *jsonschema.Schema
	kind       any // value of "type", nil without one
	properties map[string]any
	required   map[string]bool
}

// noLoader refuses references out of the definition: the broker opens no file and no connection because of what a client sends.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("%s is not part of the definition; copy it into its $defs", url)
}

// self is the address of the definition in itself.
const self = "danube:///schema"

// parseJSONSchema compiles a definition and gives its canonical form.
func parseJSONSchema(definition []byte) (*jsonSchema, []byte, error) {
	v, err := decode(definition)
	if err != nil {
		return nil, nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource(self, v); err != nil {
		return nil, nil, oneLine(err)
	}
	compiled, err := c.Compile(self)
	if err != nil {
		return nil, nil, oneLine(err)
	}
	s := &jsonSchema{compiled: compiled, required: make(map[string]bool)}
	if top, ok := v.(map[string]any); ok {
		s.kind = top["type"]
		s.properties, _ = top["properties"].(map[string]any) // compiled, so it is an object or absent
		names, _ := top["required"].([]any)
		for _, name := range names {
			if name, ok := name.(string); ok {
				s.required[name] = true
			}
		}
	}
	return s, compact(v), nil
}

// oneLine makes one line of the list that the validator prints.
func oneLine(err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(strings.TrimSpace(lines[i]), "- ")
	}
	return errors.New(strings.Join(lines, "; "))
}

func (s *jsonSchema) validate(payload []byte) error {
	v, err := decode(payload)
	if err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	if err := s.compiled.Validate(v); err != nil {
		var invalid *jsonschema.ValidationError
		if errors.As(err, &invalid) && len(invalid.Causes) > 0 {
			// The first line only names the schema, which has no address of its own.
			return errors.New(strings.TrimPrefix(oneLine(err).Error(), "jsonschema validation failed with '"+self+"#'; "))
		}
		return oneLine(err)
	}
	return nil
}

// backwardJSON lists why next cannot read what old admitted. As in the real broker only the top level counts, and a required field
// that old did not know at all is no reason.
func backwardJSON(old, next *jsonSchema) []string {
	problems := changedTypes(old, next)
	for _, name := range sorted(old.required) {
		if _, there := next.properties[name]; !there {
			problems = append(problems, fmt.Sprintf("required field %q was removed", name))
		}
	}
	for _, name := range sorted(next.required) {
		if _, known := old.properties[name]; known && !old.required[name] {
			problems = append(problems, fmt.Sprintf("optional field %q became required", name))
		}
	}
	return problems
}

// forwardJSON lists why old cannot read what next admits.
func forwardJSON(old, next *jsonSchema) []string {
	problems := changedTypes(old, next)
	for _, name := range sorted(next.required) {
		if _, known := old.properties[name]; !known {
			problems = append(problems, fmt.Sprintf("new required field %q is unknown to the latest version", name))
		}
	}
	return problems
}

// changedTypes compares the types of the whole and of the fields that both have.
func changedTypes(old, next *jsonSchema) []string {
	var problems []string
	if changed(old.kind, next.kind) {
		problems = append(problems, fmt.Sprintf("type changed from %v to %v", old.kind, next.kind))
	}
	for _, name := range slices.Sorted(maps.Keys(old.properties)) {
		before, after := fieldType(old.properties[name]), fieldType(next.properties[name])
		if changed(before, after) {
			problems = append(problems, fmt.Sprintf("type of field %q changed from %v to %v", name, before, after))
		}
	}
	return problems
}

// changed compares two types, where none is equal to all.
func changed(before, after any) bool {
	return before != nil && after != nil && !reflect.DeepEqual(before, after)
}

func fieldType(property any) any {
	p, _ := property.(map[string]any) // true and false are schemas too, without a type
	return p["type"]
}

func sorted(names map[string]bool) []string { return slices.Sorted(maps.Keys(names)) }
