package daemon

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// settingsIntroduction begins the page; for codeQuoted.
const settingsIntroduction = `# Settings of 'director serve'

Each setting can be a flag, an environment variable or a key of the YAML file that '--config' names;
the first of these counts. The key is the name of the flag without the dashes. Where a setting is a
list, the key may be a YAML list. DURATION is like '90s', '15m' or, as in Dovecot, '15 mins'; MODE
is octal, like '0600'.

'director serve --check --config FILE' checks all settings and starts nothing. With '--as USER',
root checks with the rights of the director's user. If a setting is wrong, a director does not
start: it prints a line for each problem, and its exit status is 78. 'SIGHUP' reads the settings
again: it applies those whose meaning says so, and the log names the others that have changed and
need a restart. If a setting is wrong, nothing changes.

All directors of a mesh must have the same 'mesh-name', 'user-expire' and 'username-hash'. A
director with other ones is refused, and both logs say why.

How sessions are ended: set '--kick-ipc' with Dovecot 2.3, '--kick-anvil' with Dovecot 2.4, or
[a command](#the-kick-command) of your own. You may set more than one. Without any, moved users keep
their old sessions.

<!-- Made from the program: go test ./cli/daemon -run TestSettingsDocument -update -->

| setting | environment | default | meaning |
| --- | --- | --- | --- |
`

// settingsPrograms follows the table; for codeQuoted.
const settingsPrograms = `
## The kick command

The director splits the value of '--kick-command' at blanks and runs the program directly, without a
shell. It adds one of these lists of arguments:

| arguments | sessions to end |
| --- | --- |
| 'TAG HASH KEEP' | of the user with this hash on backends of TAG, but none on KEEP (may be empty) |
| '--backend TAG IP' | all on a backend |
| '--user NAME' | all of a user by name |
| '--field FIELD VALUE' | all with this value in an auth field |

HASH is decimal; 'director map -f FILE -h HASH' prints the names that have it. The command prints
how many sessions it ended. A number means that the user had no others; anything else means that the
command does not know. An exit status other than 0 is a failure. The director kills a command after
ten seconds.

## The flush script

The script cleans up on the old backend during a move: after the sessions have ended, and before the
user may log in again. The user waits for it, 20 s at most. '--flush-socket' is as Dovecot's
'director_flush_socket':

| value | the director |
| --- | --- |
| 'unix:PATH' | connects to a unix socket, such as that of Dovecot's script service |
| 'tcp:HOST:PORT' | connects to an address |
| 'exec:PROGRAM' | runs a program; exit status 0 is success |

'%i' in it stands for the IP of the new backend, '%h' for its host name. The script gets six
arguments: 'FLUSH', the user hash in decimal, the IP of the old backend, the IP of the new one, 'up'
or 'down' and the vhost count of the old one. Over a socket each argument is a line, as in Dovecot's
script protocol; the answer ends with a line '+' for success, or '-'.

Three scripts are [in the package](operate.md#when-a-user-changes-backend), in
'/usr/share/director/flush'.

## The event hooks

One director tells of each event of the mesh: the lowest synced one by name that is in contact with
half of the others at least. When it fails, the next one goes on, and tells of the last ten seconds
too; then an event may be told twice. '--event-kinds' says of which [events](http.md#events).

'--event-command' is split at blanks and run without a shell, with two more arguments: the kind of
the event and what happened. The event is on its standard input, as a line of JSON with 'mesh' and
'event'. The director kills it after ten seconds. '--event-url' gets the same line by HTTP POST. An
answer of 200 to 299 is a success. No answer within five seconds, 429 and 500 or above make the
director try again, four times within about 15 seconds. Of each hook 1,000 events may wait.
`

// defaultInWords ends the usage of a setting whose default is no value.
var defaultInWords = regexp.MustCompile(` \(default: ([^)]*)\)$`)

// apostrophe matches a backtick inside a word, which was no quote.
var apostrophe = regexp.MustCompile("\\b`\\b")

// codeQuoted puts backticks around code, which stands in single quotes: a raw string has none.
func codeQuoted(text string) string {
	return apostrophe.ReplaceAllString(strings.ReplaceAll(text, "'", "`"), "'")
}

// settingsDocument is cli/doc/settings.md.
func settingsDocument() string {
	var text strings.Builder
	text.WriteString(codeQuoted(settingsIntroduction))
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
	text.WriteString(codeQuoted(settingsPrograms))
	return text.String()
}

// TestSettingsDocument compares the document of the settings with the settings.
func TestSettingsDocument(t *testing.T) {
	document(t, "settings.md", settingsDocument())
}
