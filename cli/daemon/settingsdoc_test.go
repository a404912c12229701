package daemon

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// settingsIntroduction has ' for ` .
const settingsIntroduction = `# Settings of 'director serve'

Each setting can be a flag, an environment variable or a key of the YAML file that '--config' names;
the first of these counts. The key is the name of the flag without the dashes. Where a setting is a
list, the key may be a YAML list.

'director serve --check --config FILE' checks all settings and starts nothing. With '--as USER',
given as root, it checks as the user as whom the director will run. A wrong setting ends a start with
exit status 78 and one line for each problem. 'SIGHUP' reads the settings again: a new '--log-level'
applies at once, and the log names the others that have changed and need a restart.

All directors of a mesh must have the same 'mesh-name', 'user-expire' and 'username-hash'. Others are
refused, and both logs say why.

<!-- Made from the program: go test ./cli/daemon -run TestSettingsDocument -update -->

| setting | environment | default | meaning |
| --- | --- | --- | --- |
`

// defaultInWords ends the usage of a setting whose default is no value.
var defaultInWords = regexp.MustCompile(` \(default: ([^)]*)\)$`)

// settingsDocument is cli/doc/settings.md.
func settingsDocument() string {
	var text strings.Builder
	text.WriteString(strings.ReplaceAll(settingsIntroduction, "'", "`"))
	cell := func(s string) string { return strings.ReplaceAll(s, "|", `\|`) }
	for _, s := range Settings() {
		name, preset, usage := "--"+s.Name, "none", s.Usage
		if !s.Switch {
			name += " " + s.Value
		}
		if m := defaultInWords.FindStringSubmatch(usage); m != nil {
			usage, preset = usage[:len(usage)-len(m[0])], m[1]
		}
		if s.Default != "" {
			preset = "`" + cell(s.Default) + "`"
		}
		fmt.Fprintf(&text, "| `%s` | `%s` | %s | %s |\n",
			cell(name), s.EnvVar(), cell(preset), cell(usage))
	}
	return text.String()
}

// TestSettingsDocument compares the document of the settings with the settings.
func TestSettingsDocument(t *testing.T) {
	document(t, "settings.md", settingsDocument())
}
