package pack_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/internal/pack"
)

func lines(count int, text string) pack.Message {
	return pack.Message{Payload: []byte(text), Attributes: map[string]string{
		pack.FormatAttribute: "ndjson/1", pack.CountAttribute: fmt.Sprint(count)}}
}

// What other programs write for the same records differs in spaces, order, escapes, nulls and line ends.
func TestEnvelopesOfOtherPrograms(t *testing.T) {
	t.Parallel()
	got := read(t, lines(5, "\n"+
		`  { "value" : {"a": [1, "]}"]} , "attributes" : { "x\u0022" : "\u00e9" , "y":"" } , "time" : -5 , "id":"i\/1", "key":"\u006b" }  `+"\r\n\r\n"+
		`{"key":null,"id":null,"time":null,"attributes":null,"text":null,"base64":null}`+"\n"+
		`{"value":null,"text":null}`+"\n"+
		`{"base64":"\/wA="}`+"\n"+
		`{"attributes":{"danube-event-id":"there"},"text":""}`,
	), pack.Auto)
	same(t, []pack.Record{
		{Key: "k", EventID: "i/1", PublishTime: time.UnixMilli(-5), Attributes: map[string]string{`x"`: "é", "y": ""}, Payload: []byte(`{"a": [1, "]}"]}`)},
		{},
		{Payload: []byte("null")},
		{Payload: []byte{0xff, 0}},
		{EventID: "there"},
	}, got)
}

func TestEnvelopesThatAreWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"value":1`:                   "not JSON",
		`{"value":1}{}`:                "not JSON",
		`[1]`:                          "a line must be a JSON object",
		`17`:                           "a line must be a JSON object",
		`{"Key":"k"}`:                  `its member "Key" is not known to this version`,
		`{"payload":1}`:                "is not known",
		`{"key":"a","key":"b"}`:        "comes twice",
		`{"value":1,"text":"1"}`:       "beside another form of the payload",
		`{"value":null,"value":1}`:     "comes twice",
		`{"key":1}`:                    `its member "key" must begin with "`,
		`{"id":{}}`:                    "must begin with",
		`{"text":1}`:                   "must begin with",
		`{"attributes":["a"]}`:         "must begin with {",
		`{"attributes":{"a":1}}`:       "must be a string",
		`{"attributes":{"a":null}}`:    "must be a string",
		`{"time":1.5}`:                 "must be a whole number",
		`{"time":"1"}`:                 "must be a whole number",
		`{"time":9223372036854775808}`: "must be a whole number",
		`{"base64":"/w"}`:              "not base64",
		`{"base64":"/x=="}`:            "not base64",
		`{"base64":"_w=="}`:            "not base64",
		`{"base64":"/w\n=="}`:          "line breaks",
		"{\"key\":\"\xff\"}":           "must be UTF-8",
		"{\"text\":\"broken\nline\"}":  "not JSON",
		strings.Repeat("[", 20_000):    "not JSON",
		"\xef\xbb\xbf{}":               "not JSON",
		"{}\n{}":                       "3 records were read",
		"\n":                           "1 records were read",
	} {
		err := damage(t, lines(2, "{\"text\":\"first\"}\n"+text), pack.Auto)
		require.ErrorContains(t, err, want, text)
		if !strings.Contains(want, "records were read") {
			require.Equal(t, 1, err.Record, text)
			require.GreaterOrEqual(t, err.Byte, 17, text)
		}
	}
	require.Equal(t, 17+10, damage(t, lines(2, "{\"text\":\"first\"}\n{\"value\": x}"), pack.Auto).Byte, "the place of the x")
}

func TestLinesOfOtherProducers(t *testing.T) {
	t.Parallel()
	attributes := map[string]string{"trace": "t", pack.EventIDAttribute: "one for all"}
	m := pack.Message{Key: "k", Attributes: attributes, Payload: []byte("\n{\"key\":\"not ours\"}\r\n\n  17\t\n\"x\"")}
	got := read(t, m, pack.Lines)
	common := map[string]string{"trace": "t"}
	same(t, []pack.Record{
		{Key: "k", Attributes: common, Payload: []byte(`{"key":"not ours"}`)},
		{Key: "k", Attributes: common, Payload: []byte("17")},
		{Key: "k", Attributes: common, Payload: []byte(`"x"`)},
	}, got)
	require.Len(t, attributes, 2, "the message keeps its attributes")
	require.Equal(t, "m#2", got[2].ID("m"), "the message's id would make all records copies of one")
	delete(attributes, "trace")
	require.Nil(t, read(t, m, pack.Lines)[0].Attributes)
	require.Nil(t, read(t, pack.Message{Payload: []byte("1"), Attributes: map[string]string{}}, pack.Lines)[0].Attributes)
}

// Many readers take a carriage return for the end of a line, too.
func TestDocumentsWithCarriageReturnsAreText(t *testing.T) {
	t.Parallel()
	require.Equal(t, `{"text":"[1,\r2]"}`+"\n", string(write(t, pack.NDJSON, pack.Record{Payload: []byte("[1,\r2]")}).Payload))
}

func TestOneBadLineRejectsAll(t *testing.T) {
	t.Parallel()
	err := damage(t, pack.Message{Payload: []byte("{}\n{}\n{\"cut\":\"of\n")}, pack.Lines)
	require.Equal(t, 2, err.Record)
	require.ErrorContains(t, err, "read pack (json lines) at byte")
}

func TestArraysOfOtherProducers(t *testing.T) {
	t.Parallel()
	m := pack.Message{Key: "k", Payload: []byte(" [ {\"a\": \"],[\"} , [ ] ,-1.5e3,null,\"\\\"\",\n true\n] ")}
	var got []string
	for _, r := range read(t, m, pack.Array) {
		require.Equal(t, "k", r.Key)
		got = append(got, string(r.Payload))
	}
	require.Equal(t, []string{`{"a": "],["}`, "[ ]", "-1.5e3", "null", `"\""`, "true"}, got)
}

func TestArraysThatAreWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct{ record, at int }{
		`{"a":1}`:   {0, 0},
		`   `:       {0, 3},
		`[1,2,x]`:   {2, 5},
		`[1,2`:      {2, 3},
		`[1,2,]`:    {2, 5},
		`[1 2]`:     {1, 3},
		`[{},{]`:    {1, 5},
		`[1][2]`:    {1, 3},
		` [ 1 ] x`:  {1, 7},
		`[[1],["a]`: {1, 8},
	} {
		err := damage(t, pack.Message{Payload: []byte(text)}, pack.Array)
		require.Equal(t, want.record, err.Record, "%s: %v", text, err)
		require.Equal(t, want.at, err.Byte, "%s: %v", text, err)
	}
}
