package cli

import (
	_ "embed" // the documents that are pages of the manual too
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/daemon"
)

// The manual is made from what the program and its documents say anyway: the commands with their
// help, and two pages of cli/doc. A test holds settings.md to the settings.

//go:embed doc/commands.md
var commandsPage string

//go:embed doc/settings.md
var settingsPage string

// manual names the whole of which the pages are parts.
const manual = "Director mesh"

// manPages are the pages of the manual, by name.
var manPages = []struct {
	name  string
	print func(inv *invocation, w io.Writer, app *cli.App) error
}{
	{"director", (*invocation).commandsManual},
	{"director.yaml", (*invocation).settingsManual},
}

func (inv *invocation) manCommand() *cli.Command {
	return &cli.Command{
		Name:      "man",
		Category:  categoryOther,
		Usage:     "print a page of the manual",
		ArgsUsage: "director | director.yaml",
		UsageText: "director man director | director.yaml",
		Description: `
Prints a page of the manual, for the program man: director(1) has the commands, director.yaml(5) has
the settings. Packages bring both.

  $ director man director | man -l -
  $ director man director.yaml > /usr/local/share/man/man5/director.yaml.5`,
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 1, 1)
			if err != nil {
				return err
			}
			for _, page := range manPages {
				if page.name == args[0] {
					return page.print(inv, inv.Stdout, inv.app())
				}
			}
			return usagef(c, "there is no page %q", args[0])
		},
	}
}

// commandsManual is director(1).
func (inv *invocation) commandsManual(w io.Writer, app *cli.App) error {
	var page roffWriter
	page.title("DIRECTOR", "1", "director "+inv.Version, manual)
	page.section("Name")
	page.WriteString(roffText(app.Name) + ` \- ` + roffText(app.Usage) + "\n")
	page.section("Synopsis")
	page.paragraph(app.Name + " COMMAND [ARGUMENT …] [FLAG …]")
	page.section("Description")
	page.paragraph(helpWords)
	page.paragraph(askWords + accessHelp())
	category := ""
	leafCommands(app.Commands, "", func(c *cli.Command, of string) {
		if of != category {
			category = of
			page.section(category)
		}
		page.command(c)
	})
	_, access, _ := strings.Cut(commandsPage, "\n## ")
	page.markdown("## " + access)
	page.section("Files")
	page.item("/etc/director/director.yaml", "settings of a director, see director.yaml(5)")
	page.item(api.DefaultAddr, "socket by which commands ask the director of this host")
	page.item("/var/lib/director", "what a director that systemd runs keeps over a restart")
	page.section("See also")
	page.paragraph("director.yaml(5), doveadm-director(1), systemd.service(5)")
	_, err := io.WriteString(w, page.String())
	return err
}

// leafCommands calls f for each command that does something itself, with its category.
func leafCommands(commands []*cli.Command, category string, f func(c *cli.Command, of string)) {
	for _, c := range commands {
		of := c.Category
		if category != "" {
			of = category
		}
		if c.Subcommands != nil {
			leafCommands(c.Subcommands, of, f)
			continue
		}
		f(c, of)
	}
}

// command writes the help of a command. The settings of serve have a page of their own.
func (w *roffWriter) command(c *cli.Command) {
	w.subsection(c.UsageText)
	w.description(strings.TrimSpace(c.Description))
	for _, f := range c.Flags {
		if !isAccessFlag(f) && !isSetting(c, f) {
			w.item(flagName(f), flagUsage(f))
		}
	}
	if c.Name == "serve" {
		w.item("--SETTING VALUE", "a setting, see director.yaml(5)")
	}
}

// isSetting says whether a flag of a command is a setting of a director.
func isSetting(c *cli.Command, f cli.Flag) bool {
	return c.Name == "serve" && slices.ContainsFunc(daemon.Settings(), func(s daemon.Setting) bool {
		return s.Name == f.Names()[0]
	})
}

// settingsManual is director.yaml(5).
func (inv *invocation) settingsManual(w io.Writer, _ *cli.App) error {
	var page roffWriter
	page.title("DIRECTOR.YAML", "5", "director "+inv.Version, manual)
	page.section("Name")
	page.WriteString("director.yaml " + `\- ` + "settings of a director\n")
	page.section("Description")
	_, settings, _ := strings.Cut(settingsPage, "\n")
	page.markdown(settings)
	page.section("Example")
	page.example([]string{
		"join: [director1.example.org, director2.example.org]",
		"mail-servers: 192.0.2.1-192.0.2.9",
		"encrypt-key-file: /etc/director/keys",
	})
	page.section("See also")
	page.paragraph("director(1)")
	_, err := io.WriteString(w, page.String())
	return err
}
