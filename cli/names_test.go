package cli

import (
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
