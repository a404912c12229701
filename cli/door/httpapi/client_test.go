package httpapi_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/door/httpapi/httpapitest"
)

var clientExample = regexp.MustCompile(
	"(?s)<!-- run by TestExampleClient -->\n```python\n(.*?)```.*?\n```\n(.*?)```\n")

// The program in the document does there what the document says.
func TestExampleClient(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no python3: apt-get install python3")
		}
		t.Skip("no python3: apt-get install python3")
	}
	document := filepath.Join("..", "..", "doc", "http.md")
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	m := clientExample.FindSubmatchIndex(text)
	if m == nil {
		t.Fatalf("%s has no program", document)
	}
	program := filepath.Join(t.TempDir(), "client.py")
	if err := os.WriteFile(program, text[m[2]:m[3]], 0o600); err != nil {
		t.Fatal(err)
	}
	d := httpapitest.Sample()
	d.OutcomeIs = func(op api.Operation) (api.Outcome, error) {
		if update, ok := op.(api.UpdateBackend); !ok || update.VHosts != 5000 {
			t.Errorf("the program asked for %+v", op)
		}
		return api.Outcome{}, api.Errorf(api.CodeVHosts, "vhost count 5000 is not from 0 to 1000")
	}
	socket := httpapitest.Serve(t, d, zerolog.Nop())
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), python, program, socket)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err == nil || !strings.Contains(out.String(), "vhosts_range: ") {
		t.Fatalf("the program was not refused as it should be: %v\n%s", err, &out)
	}
	if *update {
		text = []byte(string(text[:m[4]]) + out.String() + string(text[m[5]:]))
		if err := os.WriteFile(document, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text[m[4]:m[5]]), out.String()); diff != "" {
		t.Errorf("%s (-there +printed, run with -update):\n%s", document, diff)
	}
}
