package cli

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// commandLine is a command line in good order. urfave/cli wants flags before arguments, and global flags before the
// command; people write both anywhere ("director -a d1:9091 move alice 192.0.2.2 --json").
type commandLine struct {
	program string
	path    []string     // command and subcommand
	command *cli.Command // nil: none was named
	help    bool
	flags   []string
	args    []string
}

// argv is what urfave/cli gets.
func (l *commandLine) argv() []string {
	argv := append([]string{l.program}, l.path...)
	argv = append(argv, l.flags...)
	argv = append(argv, "--")
	return append(argv, l.args...)
}

// parseLine puts a command line in order. Flags that a command does not know stay where they are found: urfave/cli reports
// them.
func parseLine(commands []*cli.Command, args []string) (*commandLine, error) {
	line := &commandLine{program: args[0]}
	level := commands // of the next command word
	rest := args[1:]
	for len(rest) > 0 {
		word := rest[0]
		rest = rest[1:]
		switch {
		case word == "--":
			if line.command == nil {
				return nil, exitf(exitUsage, "no command before --; \"director help\" lists them")
			}
			line.args = append(line.args, rest...)
			rest = nil
		case isFlag(word):
			var err error
			if rest, err = line.addFlag(word, rest); err != nil {
				return nil, err
			}
		case level != nil && word == "help":
			line.help = true
		case level != nil:
			c := find(level, word)
			if c == nil {
				return nil, unknownCommand(line, level, word)
			}
			line.command = c
			line.path = append(line.path, c.Name)
			level = c.Subcommands
		default:
			line.args = append(line.args, word)
		}
	}
	if line.command != nil && level != nil && !line.help {
		return nil, exitf(exitUsage, "%q needs a command: %s", line.command.HelpName, strings.Join(names(level), ", "))
	}
	return line, nil
}

// addFlag takes a flag and, if it has one, its value, and returns what is left.
func (l *commandLine) addFlag(word string, rest []string) ([]string, error) {
	name, _, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
	if name == "h" && l.command != nil && l.command.Name == "map" {
		// The one command where -h is inherited as something else.
		word = "--hash" + strings.TrimPrefix(word, "-h")
		name = "hash"
	}
	if name == "h" || name == "help" {
		l.help = true
		return rest, nil
	}
	f := l.flag(name)
	if f == nil && !strings.HasPrefix(word, "--") && len(name) > 1 {
		// A value right behind a short flag, as getopt allows it: -a/run/d.sock
		if short := l.flag(name[:1]); short != nil && takesValue(short) {
			l.flags = append(l.flags, word[:2], word[2:])
			return rest, nil
		}
	}
	l.flags = append(l.flags, word)
	if f == nil || !takesValue(f) || hasValue {
		return rest, nil
	}
	if len(rest) == 0 {
		usage := "director COMMAND …"
		if l.command != nil {
			usage = l.command.UsageText
		}
		return nil, exitf(exitUsage, "%s needs a value; usage: %s", word, usage)
	}
	l.flags = append(l.flags, rest[0])
	return rest[1:], nil
}

// flag finds a flag of the command; before the command word only the shared ones are known.
func (l *commandLine) flag(name string) cli.Flag {
	flags := []cli.Flag{addrFlag(), jsonFlag(), verboseFlag()}
	if l.command != nil && l.command.Subcommands == nil {
		flags = l.command.Flags
	}
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				return f
			}
		}
	}
	return nil
}

func takesValue(f cli.Flag) bool {
	_, isBool := f.(*cli.BoolFlag)
	return !isBool
}

// isFlag tells flags from arguments; negative numbers and a lone "-" are arguments.
func isFlag(word string) bool {
	return len(word) > 1 && word[0] == '-' && (word[1] < '0' || word[1] > '9')
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func names(commands []*cli.Command) []string {
	list := make([]string, len(commands))
	for i, c := range commands {
		list[i] = c.Name
	}
	return list
}

func unknownCommand(line *commandLine, level []*cli.Command, word string) error {
	known := strings.Join(names(level), ", ")
	if line.command != nil {
		return exitf(exitUsage, "%q has no command %q; it has %s", line.command.HelpName, word, known)
	}
	return exitf(exitUsage, "there is no command %q; there are %s", word, known)
}
