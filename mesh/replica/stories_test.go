package replica

import (
	commandline "flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

var update = commandline.Bool("update", false, "rewrite what the stories of testdata/story expect")

// A story is a schedule that explains a part of the protocol: commands, and below each what the
// directors then did. See testdata/story/README.md.

var storyHeader = regexp.MustCompile(
	`(?m)^# Part of (\S+)\.md, "([^"]+)"\. Breaks with Guards\.(\w+)\.$`)

// storyFiles are the paths of all stories.
func storyFiles(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/story/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no stories found: %v", err)
	}
	return paths
}

// storyText reads a story and its header.
func storyText(t *testing.T, path string) (text, document, heading, guard string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := storyHeader.FindSubmatch(raw)
	if m == nil {
		t.Fatalf("%s: its header has no line that matches %v", path, storyHeader)
	}
	return string(raw), string(m[1]) + ".md", string(m[2]), string(m[3])
}

// TestStories replays each story and compares. With -update it writes what happens into the file.
func TestStories(t *testing.T) {
	if *update {
		if err := commandline.Set("rewrite", "true"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = commandline.Set("rewrite", "false") })
	}
	for _, path := range storyFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s := newStory(t, Guards{})
			datadriven.RunTest(t, path, s.command)
		})
	}
}

// TestStoriesCanFail replays each story without the mechanism that it explains, and wants that to
// show.
func TestStoriesCanFail(t *testing.T) {
	for _, path := range storyFiles(t) {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, _, _, guard := storyText(t, path)
			s := newStory(t, guardsWith(t, guard))
			differ := 0
			datadriven.RunTestFromString(
				t, text, func(t *testing.T, d *datadriven.TestData) string {
					if got := s.command(t, d); got != d.Expected {
						differ++
						t.Logf("%s\n%s----\n%s", d.Cmd, d.Input, got)
					}
					return d.Expected
				})
			if differ == 0 {
				t.Errorf("%s goes on as ever with Guards.%s", path, guard)
			}
		})
	}
}

// guardsWith are the guards with one switched off.
func guardsWith(t *testing.T, name string) (guards Guards) {
	t.Helper()
	field := reflect.ValueOf(&guards).Elem().FieldByName(name)
	if !field.IsValid() {
		t.Fatalf("Guards has no field %s", name)
	}
	field.SetBool(true)
	return guards
}

// TestStoriesAreLinked wants each story linked from the part of the document that it belongs to.
func TestStoriesAreLinked(t *testing.T) {
	for _, path := range storyFiles(t) {
		_, document, heading, _ := storyText(t, path)
		raw, err := os.ReadFile(filepath.Join("../doc", document))
		if err != nil {
			t.Fatal(err)
		}
		_, part, found := strings.Cut(string(raw), "\n## "+heading+"\n")
		if !found {
			t.Errorf("%s belongs to %q, which %s does not have", path, heading, document)
			continue
		}
		part, _, _ = strings.Cut(part, "\n## ")
		link := fmt.Sprintf("(../replica/%s)", filepath.ToSlash(path))
		if !strings.Contains(part, link) {
			t.Errorf("%s, %q, does not link to %s", document, heading, link)
		}
	}
}
