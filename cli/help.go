package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"
)

// help prints the help of a command, or of the program if it is nil.
func (s *session) help(app *cli.App, c *cli.Command) error { return s.helpOn(s.Stdout, app, c) }

func (s *session) helpOn(w io.Writer, app *cli.App, c *cli.Command) error {
	var b strings.Builder
	switch {
	case c == nil:
		programHelp(&b, app)
	case c.Subcommands != nil:
		fmt.Fprintf(&b, "%s: %s\n\n", c.HelpName, c.Usage)
		commandList(&b, c.Subcommands)
		fmt.Fprintf(&b, "\n\"%s COMMAND --help\" tells more.\n", c.HelpName)
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
	b.WriteString("\"director COMMAND --help\" tells more. Flags may stand anywhere; -a ADDR or DIRECTOR_ADDR picks the director to ask.\n")
}

// commandList prints one line for each command.
func commandList(b *strings.Builder, commands []*cli.Command) {
	width := 0
	for _, c := range commands {
		width = max(width, len(shortUsage(c)))
	}
	for _, c := range commands {
		fmt.Fprintf(b, "  %-*s  %s\n", width, shortUsage(c), c.Usage)
	}
}

// shortUsage is the command with its arguments, without flags.
func shortUsage(c *cli.Command) string {
	return strings.TrimSpace(strings.TrimPrefix(c.HelpName, "director ") + " " + c.ArgsUsage)
}

func commandHelp(b *strings.Builder, c *cli.Command) {
	fmt.Fprintf(b, "usage: %s\n\n", c.UsageText)
	b.WriteString(strings.TrimSpace(c.Description))
	b.WriteString("\n\nFlags:\n")
	type row struct{ name, usage string }
	var rows []row
	width := 0
	for _, f := range c.Flags {
		r := row{flagName(f), flagUsage(f)}
		width = max(width, len(r.name))
		rows = append(rows, r)
	}
	rows = append(rows, row{helpName(c), "print this"})
	for _, r := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", width, r.name, r.usage)
	}
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
	case *cli.IntFlag:
		name += " N"
	case *cli.DurationFlag:
		name += " DURATION"
	}
	return name
}

// placeholder names the value of a flag. Settings bring their own in DefaultText, which urfave/cli uses for its own help only.
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
