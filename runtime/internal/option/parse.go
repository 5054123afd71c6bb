package option

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"
)

// setText gives the option the value that text stands for, as the environment and default tags write it.
func (o Option) setText(text string) error {
	if o.Kind == List && strings.TrimSpace(text) == "" {
		o.value.SetZero()
		return nil
	}
	// The env package parses whole structs; one with a single field of the option's type makes it a parser of any type, and an error
	// of it is an error of this option.
	holder := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "V", Type: o.value.Type(), Tag: `env:"V"`}}))
	err := env.ParseWithOptions(holder.Interface(), env.Options{Environment: map[string]string{"V": text}})
	if err != nil {
		return o.mismatch(text, err)
	}
	o.value.Set(holder.Elem().Field(0))
	return nil
}

// setTOML gives the option a value decoded from TOML.
func (o Option) setTOML(raw any) error {
	v := o.value
	switch raw := raw.(type) {
	case string:
		if o.Kind == Text || o.Kind == Duration {
			return o.setText(raw)
		}
	case bool:
		if o.Kind == Flag {
			v.SetBool(raw)
			return nil
		}
	case int64:
		switch o.Kind {
		case Whole:
			return o.setText(strconv.FormatInt(raw, 10)) // which checks the range
		case Number:
			v.SetFloat(float64(raw))
			return nil
		}
	case float64:
		if o.Kind == Number && !math.IsNaN(raw) {
			v.SetFloat(raw)
			return nil
		}
	case []any:
		if o.Kind == List {
			return o.setList(raw)
		}
	case map[string]any:
		if o.Kind == Map {
			return o.setMap(raw)
		}
	}
	return o.mismatch(raw, nil)
}

func (o Option) setList(raw []any) error {
	list := reflect.MakeSlice(o.value.Type(), 0, len(raw))
	for _, item := range raw {
		text, ok := item.(string)
		if !ok {
			return o.mismatch(item, nil)
		}
		list = reflect.Append(list, reflect.ValueOf(text).Convert(o.value.Type().Elem()))
	}
	o.value.Set(list)
	return nil
}

func (o Option) setMap(raw map[string]any) error {
	m := reflect.MakeMap(o.value.Type())
	for key, item := range raw {
		text, ok := item.(string)
		if !ok {
			return o.mismatch(item, nil)
		}
		m.SetMapIndex(reflect.ValueOf(key), reflect.ValueOf(text).Convert(o.value.Type().Elem()))
	}
	o.value.Set(m)
	return nil
}

// mismatch says what is wrong with raw and what to write instead.
func (o Option) mismatch(raw any, cause error) error {
	shown := fmt.Sprintf("%v", raw)
	if s, ok := raw.(string); ok {
		shown = strconv.Quote(s)
	}
	if o.Secret {
		shown = "the value"
	}
	// A type with its own text form explains itself; the env package's words are about Go types.
	if implements(o.value.Type(), textType) && cause != nil {
		var parse env.ParseError
		if errors.As(cause, &parse) {
			return parse.Err
		}
	}
	return fmt.Errorf("%s is not %s", shown, o.expected())
}

func (o Option) expected() string {
	switch o.Kind {
	case Whole:
		return "a whole number in range; write for example " + orElse(o.Default, "1")
	case Number:
		return "a number; write for example " + orElse(o.Default, "1.5")
	case Flag:
		return "a boolean; write true or false"
	case Duration:
		return "a duration; write for example " + strconv.Quote(orElse(o.Default, "10s"))
	case List:
		return `a list of strings; write for example ["one", "two"]`
	case Map:
		return `a table of strings; write for example { name = "value" }`
	case Tables:
		return "an array of tables; write [[" + o.Path + "]]"
	default:
		return "a string; write it in quotes"
	}
}

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}
