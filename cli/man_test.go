package cli

import (
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"directormesh/cli/daemon"
)

var roffEscape = regexp.MustCompile(
	`\\(?:e|-|&|f[BR]|\((?:aq|dq|ha|ti|ga)|\[u[0-9A-F]+\])`)

// unroff takes a page back to its words, on one line.
func unroff(t *testing.T, page string) string {
	t.Helper()
	text := roffEscape.ReplaceAllStringFunc(page, func(escape string) string {
		switch escape {
		case `\e`:
			return `\`
		case `\-`:
			return "-"
		case `\&`, `\fB`, `\fR`:
			return ""
		case `\(aq`:
			return "'"
		case `\(dq`:
			return `"`
		case `\(ha`:
			return "^"
		case `\(ti`:
			return "~"
		case `\(ga`:
			return "`"
		}
		n, err := strconv.ParseUint(strings.Trim(escape, `\[u]`), 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		return string(rune(n))
	})
	return oneLine(text)
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

func manPage(t *testing.T, name string) string {
	t.Helper()
	r := runCommand(t, "", "man", name)
	if r.status != 0 || r.stderr != "" {
		t.Fatalf("man %s: status %d, stderr %q", name, r.status, r.stderr)
	}
	return r.stdout
}

// TestManualHasTheHelp wants all that the help says of each command in director(1), and each exit
// status.
func TestManualHasTheHelp(t *testing.T) {
	raw := manPage(t, "director")
	page := unroff(t, raw)
	leaves((&invocation{}).app().Commands, func(c *cli.Command, words, category string) {
		wants := []string{
			".SH \"" + strings.ToUpper(category) + "\"", ".SS \"" + oneLine(c.UsageText) + "\"",
		}
		for _, f := range c.Flags {
			if !isAccessFlag(f) && !isSetting(c, f) {
				wants = append(wants, oneLine(".TP "+flagName(f)+" "+flagUsage(f)))
			}
		}
		for part := range strings.SplitSeq(strings.TrimSpace(c.Description), "\n\n") {
			for line := range strings.Lines(part) {
				wants = append(wants, oneLine(line))
			}
		}
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("director(1) does not say of %q: %s", words, want)
			}
		}
	})
	for _, status := range []int{
		exitUsage, exitNotPossible, exitNotFound, exitTemporary, exitProtocol, exitConfig,
		exitInterrupted,
	} {
		if !strings.Contains(raw, ".TP\n\\fB"+strconv.Itoa(status)+"\\fR\n") {
			t.Errorf("director(1) does not explain the exit status %d", status)
		}
	}
}

var settingDefault = regexp.MustCompile(` \(default: [^)]*\)$`)

// TestManualHasTheSettings wants each setting in director.yaml(5), with all that the help says.
func TestManualHasTheSettings(t *testing.T) {
	page := unroff(t, manPage(t, "director.yaml"))
	for _, s := range daemon.Settings() {
		value, preset := s.Value, s.Default
		if s.Switch {
			value = "yes"
		}
		if words := settingDefault.FindString(s.Usage); words != "" {
			preset = strings.TrimSuffix(strings.TrimPrefix(words, " (default: "), ")")
		} else if preset == "" {
			preset = "none"
		}
		meaning := settingDefault.ReplaceAllString(s.Usage, "")
		want := ".TP " + s.Name + ": " + value + " " + meaning +
			" (environment: " + s.EnvVar() + "; default: " + preset + ")"
		if !strings.Contains(page, want) {
			t.Errorf("director.yaml(5) does not say: %s", want)
		}
	}
	for _, part := range []string{`.SH "THE KICK COMMAND"`, `.SH "THE FLUSH SCRIPT"`} {
		if !strings.Contains(page, part) {
			t.Errorf("director.yaml(5) has no part %s", part)
		}
	}
}

// TestManualIsRoff lets groff look for faults.
func TestManualIsRoff(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skipf("%v; apt-get install groff-base", err)
	}
	for _, page := range manPages {
		cmd := exec.CommandContext(t.Context(), groff, "-ww", "-man", "-Tutf8", "-z")
		cmd.Stdin = strings.NewReader(manPage(t, page.name))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff of %s: %v: %s", page.name, err, out)
		}
	}
}

// TestMarkdownToRoff has a case for each thing that the documents use.
func TestMarkdownToRoff(t *testing.T) {
	for name, test := range map[string]struct{ markdown, want string }{
		"paragraph": {
			"One `-a` [two](x.md#y)\n**three**.\n",
			".PP\nOne \\-a two three.\n",
		},
		"heading":   {"## The kick command\n", ".SH \"THE KICK COMMAND\"\n"},
		"hidden":    {"<!-- not\nsaid -->\n\nsaid\n", ".PP\nsaid\n"},
		"a request": {".de x\n'de y\n", ".PP\n\\&.de x \\(aqde y\n"},
		"escapes": {
			"\\ - ' ^ ~ \u2026\n", ".PP\n\\e \\- \\(aq \\(ha \\(ti \\[u2026]\n",
		},
		"code": {
			"text\n```yaml\n.a: `b`\n\n  c\n```\n",
			".PP\ntext\n.PP\n.RS 2\n.nf\n\\&.a: \\(gab\\(ga\n\n  c\n.fi\n.RE\n",
		},
		"table": {
			"| value | |\n| --- | --- |\n| `a\\|b` | what it is |\n\n| x | y |\n| --- | --- |\n" +
				"| c | d |\n",
			".TP\n\\fBa|b\\fR\nwhat it is\n.TP\n\\fBc\\fR\nd\n",
		},
		"settings": {
			"| setting | environment | meaning |\n| --- | --- | --- |\n| `--a-b N` | `X` | m |\n" +
				"| `--on` | `Y` | o |\n",
			".TP\n\\fBa\\-b: N\\fR\nm (environment: X)\n.TP\n\\fBon: yes\\fR\no (environment: Y)\n",
		},
	} {
		var w roffWriter
		w.markdown(test.markdown)
		if diff := cmp.Diff(test.want, w.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
