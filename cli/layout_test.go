package cli

import (
	"encoding/json"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "directormesh"

// rule forbids packages to import others, directly or not.
type rule struct {
	packages  string   // of ours; a trailing /... means all below
	forbidden []string // import paths; a trailing /... means all below
	allowed   []string // what is forbidden by these patterns and may be imported all the same
	except    []string // what may do it all the same
	reason    string
}

var rules = []rule{
	{packages: "ring", forbidden: []string{
		module + "/...", "github.com/...", "golang.org/...", "go.yaml.in/...", "pgregory.net/...",
	},
		reason: "the ring is pure: all that must agree on it can import it alone"},
	{packages: "directory", forbidden: []string{
		module + "/mesh/...", module + "/cli/...", "github.com/...", "golang.org/...", "net/http",
	},
		reason: "the directory merges and expires, and knows nothing of the network or of logs"},
	{packages: "mesh/...", forbidden: []string{module + "/cli/..."},
		reason: "the mesh knows nothing of doors, commands or settings"},
	{
		packages: "mesh/wire",
		forbidden: []string{
			module + "/mesh",
			module + "/mesh/replica",
			"github.com/hashicorp/...",
			"net/http",
		},
		reason: "the codec is pure: bytes in, messages out",
	},
	{packages: "mesh/mono",
		forbidden: []string{module + "/...", "github.com/...", "golang.org/..."},
		reason:    "a moment is a number; what it is of is for others to say"},
	{
		packages: "mesh/replica/...",
		forbidden: []string{
			module + "/mesh",
			"github.com/hashicorp/...",
			"github.com/rs/zerolog",
			"net/http",
		},
		reason: "the core has no I/O, so that it can be simulated and replayed",
	},
	{
		packages:  "...",
		forbidden: []string{"github.com/hashicorp/memberlist"},
		except:    []string{"mesh", "mesh/meshtest/...", "cli", "cli/daemon", "cli/director"},
		reason: "memberlist is used in mesh only; above it nobody should notice which " +
			"library it is",
	},
	{packages: "cli/api", forbidden: []string{module + "/mesh/...", module + "/directory"},
		reason: "the API has types of its own, so that the inside can change without " +
			"breaking scripts"},
	{packages: "cli/kick", forbidden: []string{module + "/mesh/...", module + "/directory"},
		reason: "a kicker knows how to end sessions, not why"},
	{packages: "cli/dovecot/...", forbidden: []string{module + "/mesh/...", module + "/directory"},
		reason: "the protocols of Dovecot's sockets have nothing to do with the mesh"},
	{packages: "cli/session", forbidden: []string{module + "/mesh/...", module + "/directory"},
		reason: "what is known of sessions reaches the mesh by a small interface"},
	{packages: "cli/flushscript", forbidden: []string{module + "/mesh/...", module + "/directory"},
		reason: "the script's protocol has nothing to do with when it is run"},
	{packages: "cli/door/...",
		forbidden: []string{module + "/mesh/...", module + "/directory", module + "/cli/daemon"},
		allowed:   []string{module + "/mesh/loglimit"},
		reason: "a door speaks one protocol and reaches the rest by an interface " +
			"that it declares"},
}

// plainWords is the package that words errors. It imports nothing of ours; all may use it but what
// is below the mesh.
const plainWords = module + "/mesh/wording"

// directRules are about imports in the package's own files.
var directRules = []rule{
	{packages: "ring", forbidden: []string{"time", "os", "net", "log", "log/slog", "sync"},
		reason: "the ring has no clock, no I/O, no log and no goroutine"},
	{packages: "directory", forbidden: []string{"os", "net", "log", "log/slog"},
		reason: "the directory has no I/O and logs nothing"},
	{packages: "mesh/wire", forbidden: []string{"os", "net", "log", "log/slog"},
		reason: "the codec has no I/O and logs nothing"},
	{packages: "mesh/replica/...", forbidden: []string{"os", "net", "log", "log/slog"},
		reason: "the core has no I/O; its log lines are effects"},
	{
		packages:  "mesh/replica/internal/...",
		forbidden: []string{"sync", "sync/atomic", "math/rand/v2"},
		except: []string{
			"mesh/replica/internal/lookups", "mesh/replica/internal/rowset",
			"mesh/replica/internal/meshtime",
		},
		reason: "the core's structures are passive: one caller at a time, and equal facts, " +
			"equal answers",
	},
	{
		packages:  "...",
		forbidden: []string{"github.com/vmihailenco/msgpack/..."},
		except:    []string{"mesh/wire", "mesh/wire/..."},
		reason:    "msgpack trusts the lengths that it reads; bounded decoding is in one place",
	},
	{
		packages:  "...",
		forbidden: []string{"github.com/hashicorp/memberlist"},
		except:    []string{"mesh", "mesh/meshtest/..."},
		reason:    "memberlist is used in mesh only",
	},
	{packages: "...", forbidden: []string{"github.com/urfave/cli/v2"}, except: []string{"cli"},
		reason: "arguments are read in one package"},
	{packages: "cli", forbidden: []string{module + "/mesh/...", module + "/directory"},
		reason: "commands ask a director by its API; serve and dev run one by cli/daemon"},
	{packages: "cli/director", forbidden: []string{
		module + "/mesh/...", module + "/directory", module + "/ring", module + "/cli/daemon",
	},
		reason: "main hands the process's own to package cli, no more"},
	{packages: "...", forbidden: []string{
		module + "/mesh/meshtest/...", module + "/cli/door/httpapi/httpapitest",
		module + "/cli/kick/kicktest", module + "/cli/door/doortest",
		module + "/cli/door/webauth/webauthtest",
		module + "/cli/door/conntest", module + "/cli/logtest",
		module + "/cli/resolve/resolvetest", module + "/cli/sourcetest", "testing"},
		except: []string{"mesh/meshtest/...", "cli/door/httpapi/httpapitest", "cli/kick/kicktest",
			"cli/door/doortest", "cli/door/conntest", "cli/door/webauth/webauthtest",
			"cli/logtest", "cli/resolve/resolvetest", "cli/sourcetest",
			"mesh/wire/wiretest"},
		reason: "what is made for tests stays in tests"},
}

// listed is what go list tells of a package.
type listed struct {
	ImportPath string
	Dir        string
	Name       string
	Doc        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list",
		"-json=ImportPath,Dir,Name,Doc,GoFiles,Imports,Deps", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// matches reports whether a path is meant by a pattern.
func matches(pattern, path string) bool {
	if base, ok := strings.CutSuffix(pattern, "..."); ok {
		return strings.HasPrefix(path, base) || path == strings.TrimSuffix(base, "/")
	}
	return path == pattern
}

func (r rule) check(t *testing.T, p listed, imports []string) {
	t.Helper()
	name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
	if !matches(r.packages, name) ||
		slices.ContainsFunc(r.except, func(e string) bool { return matches(e, name) }) {
		return
	}
	for _, path := range imports {
		for _, forbidden := range r.forbidden {
			if path != p.ImportPath && matches(forbidden, path) &&
				!slices.Contains(r.allowed, path) &&
				path != plainWords {
				t.Errorf("%s imports %s: %s", name, path, r.reason)
			}
		}
	}
}

// Dependencies point one way: cli, mesh, directory, ring.
func TestImports(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, r := range rules {
			r.check(t, p, p.Deps)
		}
		for _, r := range directRules {
			r.check(t, p, p.Imports)
		}
	}
}

// Each package says what it is, in one place.
func TestPackageComments(t *testing.T) {
	for _, p := range listPackages(t) {
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		commented := []string{}
		for _, file := range p.GoFiles {
			if hasPackageComment(t, filepath.Join(p.Dir, file)) {
				commented = append(commented, file)
			}
		}
		if len(commented) > 1 {
			t.Errorf("%s has package comments in %v", p.ImportPath, commented)
		}
	}
}

func hasPackageComment(t *testing.T, path string) bool {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), path, nil,
		parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	return f.Doc != nil
}
