//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The same source makes the same release, wherever it is and whatever the umask and the time zone
// are: packages, programs, their bills of materials, and the sums of all.
func TestReleaseIsReproducible(t *testing.T) {
	t.Parallel()
	here, there := release(t, "022", "UTC"), release(t, "077", "America/New_York")
	const program = "director_1.2.3_linux_" + runtime.GOARCH
	want := []string{"SHA256SUMS", program, program + ".cdx.json"}
	for name, raw := range here {
		if !bytes.Equal(raw, there[name]) {
			t.Errorf("%s: %d bytes here, %d other ones there", name, len(raw), len(there[name]))
		}
		sum := fmt.Sprintf("%x  %s\n", sha256.Sum256(raw), name)
		if name != "SHA256SUMS" && !strings.Contains(string(here["SHA256SUMS"]), sum) {
			t.Errorf("SHA256SUMS has no line %s", sum)
		}
		if ext := filepath.Ext(name); ext == ".deb" || ext == ".rpm" {
			want = append(want, name)
		}
	}
	slices.Sort(want)
	if got := slices.Sorted(maps.Keys(here)); !slices.Equal(got, want) || len(got) != 5 {
		t.Fatalf("the release is %q", got)
	}
	checkBill(t, here[program], here[program+".cdx.json"])
}

// checkBill demands that a bill of materials has the modules that Go has noted in a program, and no
// others but Go's own library.
func checkBill(t *testing.T, program, bill []byte) {
	t.Helper()
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"std " + info.GoVersion}
	for _, m := range info.Deps {
		want = append(want, m.Path+" "+m.Version)
	}
	var has struct {
		BOMFormat  string
		Metadata   struct{ Timestamp string }
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(bill, &has); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range has.Components {
		got = append(got, c.Name+" "+c.Version)
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("modules (-program +bill of materials):\n%s", diff)
	}
	if has.BOMFormat != "CycloneDX" || has.Metadata.Timestamp != "2025-06-15T15:06:40Z" {
		t.Errorf("the bill of materials is of format %q and of %s", has.BOMFormat,
			has.Metadata.Timestamp)
	}
}

// release makes a release for this processor of a copy of the source tree, and returns its files by
// name.
func release(t *testing.T, umask, zone string) map[string][]byte {
	t.Helper()
	top, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(t.TempDir(), "tree")
	runIn(t, top, "sh", "-c", `umask "$1"; mkdir "$0" && git ls-files -z --cached --others `+
		`--exclude-standard | xargs -0 cp --parents -t "$0"`, tree, umask)
	runIn(t, tree, "sh", "-c", `umask "$0"; SOURCE_DATE_EPOCH=1750000000 TZ="$1" `+
		`make release VERSION=1.2.3 ARCHS="$2"`, umask, zone, runtime.GOARCH)
	out := filepath.Join(tree, "bin", "release")
	files, err := os.ReadDir(out)
	if err != nil {
		t.Fatal(err)
	}
	built := make(map[string][]byte)
	for _, file := range files {
		raw, err := os.ReadFile(filepath.Join(out, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		built[file.Name()] = raw
	}
	return built
}

func runIn(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", program, strings.Join(args, " "), err, out)
	}
}
