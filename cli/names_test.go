package cli

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The marks of editors, line ends of Windows and empty lines are no part of a name.
func TestReadNames(t *testing.T) {
	for _, test := range []struct {
		file string
		want []string
	}{
		{"alice\nbob\n", []string{"alice", "bob"}},
		{utf8Mark + "alice\r\n\r\nbob", []string{"alice", "bob"}},
		{"alice\n" + utf8Mark + "bob\n", []string{"alice", utf8Mark + "bob"}},
		{utf8Mark, nil},
	} {
		var got []string
		for name, err := range readNames(strings.NewReader(test.file)) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, name)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", test.file, diff)
		}
	}
}

// A command that waits for names on stdin can be interrupted.
func TestNamesThatNeverCome(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	never, w := io.Pipe()
	defer w.Close()
	inv := &invocation{IO: IO{Stdin: never}}
	in, err := inv.openNames(ctx, "-")
	if err != nil {
		t.Fatal(err)
	}
	interrupt()
	for name, err := range readNames(in) {
		if status(err) != exitInterrupted || text(err) != "interrupted" {
			t.Errorf("%q, %v", name, err)
		}
	}
}
