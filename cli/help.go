package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// The categories of the program's help.
const (
	categoryServe    = "Run directors"
	categoryQueries  = "Ask"
	categoryBackends = "Backends"
	categoryUsers    = "Users"
	categoryMesh     = "Directors"
	categoryOther    = "Other"
)

// helpWords explains the words of the help to readers who know mail.
const helpWords = "A backend is a mail server; its vhost count is its weight. " +
	"A mapping is the backend that a user has now. " +
	"The ring is the hash that gives a user without a mapping a backend. " +
	"A tag is a part of the cluster with backends of its own. " +
	"The directors of a cluster are a mesh; " +
	"the commands \"ring …\" mean the mesh, as in doveadm. " +
	"HOST is the name or address of a backend."

// askWords says how to ask for help, and whom commands ask.
const askWords = "\"director COMMAND --help\" explains a command. Flags may stand anywhere; " +
	"-a ADDR or DIRECTOR_ADDR picks the director to ask. "

// help prints the help of a command, or of the program if it is nil.
func (inv *invocation) help(app *cli.App, c *cli.Command) error {
	return inv.helpOn(inv.Stdout, app, c)
}

func (inv *invocation) helpOn(w io.Writer, app *cli.App, c *cli.Command) error {
	var b strings.Builder
	switch {
	case c == nil:
		programHelp(&b, app)
	case c.Subcommands != nil:
		fmt.Fprintf(&b, "%s: %s\n\n", c.HelpName, c.Usage)
		commandList(&b, c.Subcommands)
		fmt.Fprintf(&b, "\n\"%s COMMAND --help\" explains a command.\n", c.HelpName)
	default:
		commandHelp(&b, c)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func programHelp(b *strings.Builder, app *cli.App) {
	fmt.Fprintf(b, "%s: %s\n\n", app.Name, app.Usage)
	categories := []string{}
	byCategory := map[string][]*cli.Command{}
	for _, c := range app.Commands {
		if byCategory[c.Category] == nil {
			categories = append(categories, c.Category)
		}
		byCategory[c.Category] = append(byCategory[c.Category], c)
	}
	for _, category := range categories {
		fmt.Fprintf(b, "%s:\n", category)
		commandList(b, byCategory[category])
		b.WriteString("\n")
	}
	b.WriteString(wrap(helpWords, 0))
	b.WriteString("\n")
	b.WriteString(wrap(askWords+accessHelp(), 0))
}

// commandList prints one line for each command.
func commandList(b *strings.Builder, commands []*cli.Command) {
	var rows []helpRow
	for _, c := range commands {
		rows = append(rows, helpRow{shortUsage(c), c.Usage})
	}
	helpRows(b, rows)
}

// shortUsage is the command with its arguments, without flags.
func shortUsage(c *cli.Command) string {
	return strings.TrimSpace(strings.TrimPrefix(c.HelpName, "director ") + " " + c.ArgsUsage)
}

func commandHelp(b *strings.Builder, c *cli.Command) {
	b.WriteString(wrap("usage: "+c.UsageText, len("usage: ")))
	b.WriteString("\n")
	b.WriteString(wrapText(strings.TrimSpace(c.Description)))
	b.WriteString("\nFlags:\n")
	var rows []helpRow
	for _, f := range c.Flags {
		if !isAccessFlag(f) { // explained once, in the help of the program
			rows = append(rows, helpRow{flagName(f), flagUsage(f)})
		}
	}
	helpRows(b, append(rows, helpRow{helpName(c), "print this"}))
}

const (
	helpWidth = 80 // of the narrowest terminal that people use
	helpNames = 34 // of the column of names: what is longer stands on a line of its own
)

// helpRow is a name with what it means.
type helpRow struct{ name, text string }

// helpRows prints names and their meanings in two columns.
func helpRows(b *strings.Builder, rows []helpRow) {
	width := 0
	for _, r := range rows {
		if n := utf8.RuneCountInString(r.name); n <= helpNames {
			width = max(width, n)
		}
	}
	for _, r := range rows {
		indent := 2 + width + 2
		if utf8.RuneCountInString(r.name) > width {
			fmt.Fprintf(b, "  %s\n", r.name)
			b.WriteString(wrap(strings.Repeat(" ", indent)+r.text, indent))
			continue
		}
		b.WriteString(wrap(fmt.Sprintf("  %-*s  %s", width, r.name, r.text), indent))
	}
}

// wrap breaks a line where it is too long for a terminal; what follows is indented.
func wrap(line string, indent int) string {
	var b strings.Builder
	for utf8.RuneCountInString(line) > helpWidth {
		runes := []rune(line)
		at := helpWidth
		for at > indent && runes[at] != ' ' {
			at--
		}
		if at <= indent {
			break // a word that is longer than the line
		}
		b.WriteString(strings.TrimRight(string(runes[:at]), " "))
		b.WriteString("\n")
		line = strings.Repeat(" ", indent) + strings.TrimLeft(string(runes[at:]), " ")
	}
	b.WriteString(line)
	b.WriteString("\n")
	return b.String()
}

// wrapText breaks paragraphs anew; indented lines are examples and stay as they are.
func wrapText(text string) string {
	var b strings.Builder
	paragraph := ""
	flush := func() {
		if paragraph != "" {
			b.WriteString(wrap(paragraph, 0))
			paragraph = ""
		}
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "", strings.HasPrefix(line, "  "):
			flush()
			b.WriteString(line + "\n")
		case paragraph == "":
			paragraph = line
		default:
			paragraph += " " + line
		}
	}
	flush()
	return b.String()
}

func helpName(c *cli.Command) string {
	if c.Name == "map" {
		return "--help"
	}
	return "-h, --help"
}

// flagName is how a flag is written: -a, --addr ADDR.
func flagName(f cli.Flag) string {
	var parts []string
	for _, n := range f.Names()[1:] {
		parts = append(parts, "-"+n)
	}
	long := f.Names()[0]
	if long == "hash" {
		parts = append(parts, "-h") // see argv.go
	}
	name := strings.Join(append(parts, "--"+long), ", ")
	switch f := f.(type) {
	case *cli.StringFlag:
		name += " " + placeholder(long, f.DefaultText)
	case *cli.StringSliceFlag:
		name += " " + placeholder(long, f.DefaultText)
	case *cli.IntFlag:
		name += " N"
	case *cli.DurationFlag:
		name += " DURATION"
	}
	return name
}

// placeholder names the value of a flag. Settings bring their own in DefaultText, which urfave/cli
// uses for its own help only.
func placeholder(long, given string) string {
	if given != "" {
		return given
	}
	return strings.ToUpper(long)
}

func flagUsage(f cli.Flag) string {
	if d, ok := f.(cli.DocGenerationFlag); ok {
		return d.GetUsage()
	}
	return ""
}
