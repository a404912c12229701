package cli

import (
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// commandLine is a command line in good order. urfave/cli wants flags before arguments, and global
// flags before the command; people write both anywhere ("director -a d1:9091 move alice 192.0.2.2
// --json").
type commandLine struct {
	program string
	path    []string     // command and subcommand
	command *cli.Command // nil: none was named
	help    bool
	version bool
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

// parseLine puts a command line in order.
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
	switch {
	case line.help:
	case line.command == nil:
		return line, line.withoutCommand()
	case level != nil && line.command.Action == nil:
		return nil, exitf(exitUsage, "%q needs a command: %s",
			line.command.HelpName, strings.Join(names(level), ", "))
	default:
		return line, line.checkFlags()
	}
	return line, nil
}

// withoutCommand makes sense of flags alone.
func (l *commandLine) withoutCommand() error {
	for i := 0; i < len(l.flags); i++ {
		flag := l.flags[i]
		name, _, hasValue := strings.Cut(strings.TrimLeft(flag, "-"), "=")
		f := l.flag(name)
		switch {
		case flag == "--version", flag == "-v", flag == "-V":
			l.version = true
		case f != nil && takesValue(f) && !hasValue:
			i++
		case f == nil:
			return exitf(exitUsage,
				"director has no flag %q without a command; \"director help\" lists the commands",
				flag)
		}
	}
	if len(l.flags) > 0 && !l.version {
		return exitf(exitUsage, "no command given; \"director help\" lists them")
	}
	return nil
}

// checkFlags reports flags that the command does not have and values that they cannot have, in
// words of ours: urfave/cli's are Go's.
func (l *commandLine) checkFlags() error {
	for i := 0; i < len(l.flags); i++ {
		word := l.flags[i]
		name, value, hasValue := strings.Cut(strings.TrimLeft(word, "-"), "=")
		f := l.flag(name)
		if f == nil {
			return exitf(exitUsage, "there is no flag %q here; usage: %s",
				word, l.command.UsageText)
		}
		if takesValue(f) && !hasValue {
			i++
			value = l.flags[i]
		}
		problem := ""
		switch f.(type) {
		case *cli.BoolFlag:
			if _, err := strconv.ParseBool(value); hasValue && err != nil {
				problem = "give it without a value"
			}
		case *cli.DurationFlag:
			if d, err := time.ParseDuration(value); err != nil || d <= 0 {
				problem = "give a time such as 30s or 5m"
			}
		}
		if problem != "" {
			return exitf(exitUsage, "--%s %s: %s; usage: %s",
				f.Names()[0], value, problem, l.command.UsageText)
		}
	}
	return nil
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
	flags := append([]cli.Flag{addrFlag(), jsonFlag(), verboseFlag()}, accessFlags()...)
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

// isFlag distinguishes flags from arguments; negative numbers and a lone "-" are arguments.
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
		return exitf(exitUsage, "%q has no command %q; it has %s",
			line.command.HelpName, word, known)
	}
	return exitf(exitUsage, "there is no command %q; there are %s", word, known)
}
