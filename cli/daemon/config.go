package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"directormesh/cli/api"
	"directormesh/cli/resolve"
	"directormesh/ring"
)

// Environment is what settings are read with; tests give their own.
type Environment struct {
	LookupEnv func(name string) (string, bool)
	ReadFile  func(path string) ([]byte, error)
	Hostname  func() (string, error)
	Resolve   func(name string) ([]ring.Target, error)
	Mode      func(path string) (fs.FileMode, error) // of a file; nil: not known
	Addresses func() ([]netip.Addr, error)           // of this host; nil: not known
}

// resolveTimeout bounds the resolution of one name in --mail-servers at the start.
const resolveTimeout = 10 * time.Second

const resolveAdvice = "give an IP address, or look at this host's resolver"

// SystemEnvironment is that of this process.
func SystemEnvironment() Environment {
	return Environment{
		LookupEnv: os.LookupEnv,
		ReadFile:  os.ReadFile,
		Hostname:  os.Hostname,
		Resolve: func(name string) ([]ring.Target, error) {
			ctx, cancel := context.WithTimeout(context.Background(), resolveTimeout)
			defer cancel()
			found, err := resolve.Targets(ctx, net.DefaultResolver, name)
			switch {
			case len(found) > 0:
				return found, nil // what else there may be comes later
			case errors.Is(err, resolve.ErrNotFound):
				return nil, fmt.Errorf("%w; %s", err, resolveAdvice)
			}
			return nil, unanswered(resolve.Problem(err) + "; " + resolveAdvice)
		},
		Mode: func(path string) (fs.FileMode, error) {
			info, err := os.Stat(path)
			if err != nil {
				return 0, err
			}
			return info.Mode(), nil
		},
		Addresses: hostAddresses,
	}
}

func hostAddresses() ([]netip.Addr, error) {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var addrs []netip.Addr
	for _, f := range found {
		if prefix, err := netip.ParsePrefix(f.String()); err == nil {
			addrs = append(addrs, prefix.Addr().Unmap())
		}
	}
	return addrs, nil
}

// unanswered is the error of a name for which no name server has answered: nothing is wrong with
// it, as far as one can tell, and a while later there may be an answer.
type unanswered string

func (u unanswered) Error() string { return string(u) }

// onlyUnanswered says whether an error, which may join several, is about such names only.
func onlyUnanswered(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return !slices.ContainsFunc(joined.Unwrap(), func(e error) bool {
			return !onlyUnanswered(e)
		})
	}
	var u unanswered
	return errors.As(err, &u)
}

// Problem is one thing that is wrong with the settings.
type Problem struct {
	Setting string // "" if the file as a whole is meant
	Source  string // where the value came from
	Err     error
}

func (p Problem) String() string {
	if p.Setting == "" {
		return fmt.Sprintf("%s: %v", p.Source, p.Err)
	}
	if p.Source == "" {
		return fmt.Sprintf("%s: %v", p.Setting, p.Err)
	}
	return fmt.Sprintf("%s: %v (from %s)", p.Setting, p.Err, p.Source)
}

// ConfigError lists all that is wrong with the settings, one line each.
type ConfigError struct{ Problems []Problem }

// Temporary says that nothing is wrong but that name servers do not answer: try again.
func (e *ConfigError) Temporary() bool {
	return !slices.ContainsFunc(e.Problems, func(p Problem) bool { return !onlyUnanswered(p.Err) })
}

func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// value is the text of a setting and where it came from.
type value struct{ text, source string }

// Load reads the settings: flags win over the environment, that over the file (none if the path is
// ""), that over the defaults. The error is a *ConfigError with all problems.
func Load(flags map[string]string, path string, env Environment) (Options, error) {
	var problems []Problem
	file, bad := loadFile(path, env)
	problems = append(problems, bad...)

	options := Options{values: make(map[string]string)}
	sources := make(map[string]string) // of the values, by name
	for _, s := range Settings() {
		v := value{text: s.Default}
		if text, ok := flags[s.Name]; ok {
			v = value{text, "flag --" + s.Name}
		} else if text, ok := env.LookupEnv(s.EnvVar()); ok {
			v = value{text, "environment variable " + s.EnvVar()}
		} else if fromFile, ok := file[s.Name]; ok {
			v = fromFile
		}
		options.values[s.Name], sources[s.Name] = v.text, v.source
		if err := s.read(&options, v.text, env); err != nil {
			problems = append(problems, Problem{Setting: s.Name, Source: v.source, Err: err})
		}
	}
	if len(problems) == 0 {
		if err := checkExposure(options, env); err != nil {
			problems = append(problems, Problem{Setting: "encrypt-key-file", Err: err})
		}
	}
	for _, p := range slices.Concat(checkAccess(options), checkHealth(options),
		checkDoveadm(options), checkBalance(options), checkEvents(options)) {
		if slices.ContainsFunc(problems, func(o Problem) bool { return o.Setting == p.Setting }) {
			continue // what is wrong with it is said already
		}
		p.Source = sources[p.Setting]
		problems = append(problems, p)
	}
	if len(problems) > 0 {
		return Options{}, &ConfigError{Problems: problems}
	}
	return options, nil
}

func loadFile(path string, env Environment) (map[string]value, []Problem) {
	if path == "" {
		return nil, nil
	}
	raw, err := env.ReadFile(path)
	if err != nil {
		return nil, []Problem{{Source: path, Err: fmt.Errorf("cannot be read: %s", api.Cause(err))}}
	}
	return parseFile(path, raw)
}

// parseFile reads a YAML mapping of setting names to values. It never expands anything: values are
// scalars or lists of scalars.
func parseFile(path string, raw []byte) (map[string]value, []Problem) {
	var document yaml.Node
	if err := yaml.Unmarshal(raw, &document); err != nil {
		return nil, []Problem{{Source: path, Err: notYAML(err)}}
	}
	if document.Kind == 0 { // empty, or comments only
		return nil, nil
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		if root.Tag == "!!null" {
			return nil, nil
		}
		return nil, []Problem{{
			Source: path, Err: errors.New("is not a list of settings such as \"user-expire: 15m\""),
		}}
	}
	known := make(map[string]Setting)
	for _, s := range Settings() {
		known[s.Name] = s
	}
	values := make(map[string]value)
	var problems []Problem
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, node := root.Content[i], root.Content[i+1]
		source := fmt.Sprintf("%s line %d", path, key.Line)
		name := strings.ReplaceAll(key.Value, "_", "-")
		s, ok := known[name]
		if !ok {
			problems = append(problems, Problem{
				Setting: key.Value, Source: source,
				Err: errors.New("is no setting" + suggest(name, known)),
			})
			continue
		}
		if before, ok := values[name]; ok {
			problems = append(problems, Problem{
				Setting: name, Source: source,
				Err: fmt.Errorf("is there already: %s", before.source),
			})
			continue
		}
		text, err := nodeText(node, s.joint)
		if err != nil {
			problems = append(problems, Problem{Setting: name, Source: source, Err: err})
			continue
		}
		values[name] = value{text, source}
	}
	return values, problems
}

// notYAML says in plain words what the YAML library could not read.
func notYAML(err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	where, what, found := strings.Cut(text, ": ")
	if !found || !strings.HasPrefix(where, "line ") {
		where, what = "the file", text
	}
	if strings.Contains(what, "cannot start any token") {
		what = "is there a TAB? use blanks"
	}
	return fmt.Errorf("%s is not YAML (%s); settings look like \"user-expire: 15m\"", where, what)
}

// nodeText returns the text of a scalar, or of a list of scalars where the setting may be one.
func nodeText(n *yaml.Node, joint string) (string, error) {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return "", errors.New("has no value; remove the line or give one")
	case n.Kind == yaml.ScalarNode:
		return n.Value, nil
	case n.Kind == yaml.SequenceNode && joint != "":
		items := make([]string, len(n.Content))
		for i, item := range n.Content {
			if item.Kind != yaml.ScalarNode || item.Tag == "!!null" {
				return "", fmt.Errorf("item %d of the list is not a plain value", i+1)
			}
			items[i] = item.Value
		}
		return strings.Join(items, joint), nil
	}
	return "", errors.New("is not a plain value")
}

// suggest finds the setting that a misspelt name most likely means.
func suggest(name string, known map[string]Setting) string {
	name = strings.TrimPrefix(name, "director-")
	if _, ok := known[name]; ok {
		return "; is it " + name + " that you mean?"
	}
	for _, s := range Settings() {
		if len(name) >= 3 && (strings.HasPrefix(s.Name, name) || strings.HasPrefix(name, s.Name)) {
			return "; is it " + s.Name + " that you mean?"
		}
	}
	return ""
}
