package spool_test

import (
	"encoding/hex"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danube"
	"github.com/danube-messaging/danube-connect-go/runtime/internal/spool"
)

// The format of a record may only change with its version: spools outlive the program that wrote them.
func TestTheFormatStaysAsItIs(t *testing.T) {
	t.Parallel()
	m := danube.Message{
		Topic: "/default/orders", Partition: 2, Offset: 300, Key: "k1", Producer: "shop-2", Payload: []byte("hello"), SchemaID: 7, SchemaVersion: 200,
		PublishTime: time.UnixMilli(1_700_000_000_123), Attributes: map[string]string{"b": "2", "a": "1"},
	}
	record := spool.AppendRecord(nil, spool.Identify(&m), &m, time.UnixMilli(1_700_000_000_456))
	require.Equal(t, "01b3df99e62834458aac165af1b5ca3c4490a7abfef96204ac02f6a1abfef96207c8010f2f64656661756c742f6f7264657273026b310673686f702d3202016101310162013268656c6c6f", hex.EncodeToString(record))
	got, at, err := spool.Decode(record, &danube.Message{})
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(m, got, cmpopts.IgnoreUnexported(danube.Message{})))
	require.Equal(t, int64(1_700_000_000_456), at.UnixMilli())
}

func TestEveryCutInTheFieldsIsNoticed(t *testing.T) {
	t.Parallel()
	m := message(300, 0)
	m.Attributes = map[string]string{"name": "value"}
	record := spool.AppendRecord(nil, spool.Identify(m), m, m.PublishTime)
	for n := range record {
		_, _, err := spool.Decode(record[:n], &danube.Message{Topic: "/default/orders"})
		require.Error(t, err, "cut to %d bytes", n)
	}
	record[0]++
	_, _, err := spool.Decode(record, &danube.Message{})
	require.ErrorContains(t, err, "version")
}

// Whatever bytes there are, decoding ends with an error or with a message that is written and read as the same.
func FuzzDecode(f *testing.F) {
	for n := range 3 {
		m := message(n, n)
		m.Attributes = map[string]string{"name": "value"}
		f.Add(spool.AppendRecord(nil, spool.Identify(m), m, m.PublishTime))
	}
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, record []byte) {
		m, at, err := spool.Decode(record, &danube.Message{})
		if err != nil {
			require.Empty(t, cmp.Diff(danube.Message{}, m, cmpopts.IgnoreUnexported(danube.Message{})))
			return
		}
		again, atAgain, err := spool.Decode(spool.AppendRecord(nil, spool.Identity(record[1:17]), &m, at), &m)
		require.NoError(t, err)
		require.True(t, at.Equal(atAgain))
		require.Empty(t, cmp.Diff(m, again, cmpopts.IgnoreUnexported(danube.Message{}), cmpopts.EquateEmpty()))
	})
}
