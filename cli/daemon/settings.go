package daemon

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"directormesh/cli/api"
	"directormesh/cli/kick"
	"directormesh/mesh/history"
	"directormesh/ring"
)

const (
	minUserExpire = 10 * time.Second
	// maxKickDelay: a move is released after 25 s at the latest.
	maxKickDelay = 20 * time.Second
)

// Setting describes one setting of a director.
type Setting struct {
	Name    string // of the flag and the YAML key
	Value   string // placeholder for the help
	Default string
	Usage   string

	Switch bool // yes or no; the flag needs no value
	// apply makes a running director use a new value when SIGHUP has the settings read again; nil:
	// that takes a restart, and so it does if false is returned. It cannot fail: the value was
	// checked when it was read.
	apply func(d *Daemon, fresh Options) bool
	// differ says whether what the value names has changed, even if its text has not; nil: the text
	// is all there is
	differ func(before, after Options) bool
	// shown leaves out of a value what may be secret; nil: nothing is
	shown func(text string) string
	joint string // between the items if the YAML value is a list, "" if it must not be one
	read  func(o *Options, text string, env Environment) error
}

// EnvVar is the environment variable of the setting.
func (s Setting) EnvVar() string {
	return "DIRECTOR_" + strings.ReplaceAll(strings.ToUpper(s.Name), "-", "_")
}

// Settings returns all settings in the order of the help, and in the order in which they are read:
// those of doors need the run directory.
func Settings() []Setting {
	return slices.Concat(ownSettings(), doorSettings(), sessionSettings(), doveadmSettings(),
		healthSettings(), slowStartSettings(), balanceSettings(), eventSettings())
}

// ownSettings are the director's own; doors bring theirs.
func ownSettings() []Setting {
	return []Setting{
		{
			Name: "node-name", Value: "NAME", Default: "",
			Usage: "name of this director, unique in the mesh (default: the host name)",
			read: func(o *Options, s string, env Environment) (err error) {
				if s == "" {
					if s, err = env.Hostname(); err != nil {
						return fmt.Errorf("the host name is not known (%w); give a name", err)
					}
				}
				o.NodeName = s
				return checkName(s)
			},
		},
		{
			Name: "mesh-name", Value: "NAME", Default: "director",
			Usage: "directors of different meshes refuse each other",
			read: func(o *Options, s string, _ Environment) error {
				o.MeshName = s
				return checkName(s)
			},
		},
		{
			Name: "bind", Value: "IP[:PORT]", Default: "0.0.0.0:9090",
			Usage: "where the mesh listens, TCP and UDP; port 0 takes a free one",
			read: func(o *Options, s string, _ Environment) (err error) {
				o.Bind, err = parseAddrPort(s)
				return err
			},
		},
		{
			Name: "advertise", Value: "IP[:PORT]", Default: "",
			Usage: "address at which other directors reach this one (default: as --bind)",
			read: func(o *Options, s string, _ Environment) (err error) {
				if s == "" {
					return nil
				}
				if o.Advertise, err = parseAddrPort(s); err == nil &&
					o.Advertise.Addr().IsUnspecified() {
					return fmt.Errorf("%q is no address that others could reach", s)
				}
				return err
			},
		},
		{
			Name: "join", Value: "HOST[:PORT],…", Default: "", joint: ",",
			Usage: "other directors, by default at the port of --bind; " +
				"a name stands for all its addresses",
			read: func(o *Options, s string, _ Environment) (err error) {
				o.Join, err = parseJoin(s)
				return err
			},
		},
		resolveSetting(),
		{
			Name: "mail-servers", Value: "LIST", Default: "", joint: " ",
			Usage: "backends of a new mesh, as in director_mail_servers, for example " +
				"\"192.0.2.1-192.0.2.9 192.0.2.20@ssd\"; names of hosts or services (SRV) are " +
				"followed, see --resolve-every",
			read: func(o *Options, s string, env Environment) error {
				// Every problem is shown with the setting's name already.
				if err := readMailServers(o, s, env); err != nil {
					text := strings.TrimPrefix(err.Error(), "mail servers: ")
					if onlyUnanswered(err) {
						return unanswered(text)
					}
					return errors.New(text)
				}
				return nil
			},
		},
		{
			Name: "user-expire", Value: "DURATION", Default: "15m",
			Usage: "how long a mapping outlives the user's last activity, at least 10s",
			read: func(o *Options, s string, _ Environment) (err error) {
				if o.UserExpire, err = parseDuration(s); err == nil &&
					o.UserExpire < minUserExpire {
					return fmt.Errorf("%q is too low; the least is 10s", s)
				}
				return err
			},
		},
		{
			Name: "user-kick-delay", Value: "DURATION", Default: "2s",
			Usage: "pause between the last kick and the release of a moved user; " +
				"SIGHUP applies a new one",
			apply: (*Daemon).applyLimits,
			read: func(o *Options, s string, _ Environment) (err error) {
				if o.UserKickDelay, err = parseDuration(s); err == nil &&
					(o.UserKickDelay < 0 || o.UserKickDelay > maxKickDelay) {
					return fmt.Errorf("%q is not from 0s to %v", s, maxKickDelay)
				}
				return err
			},
		},
		{
			Name: "username-hash", Value: "FORMAT", Default: "%Lu",
			Usage: "which part of a user name is hashed; must be Dovecot's director_username_hash",
			read: func(o *Options, s string, _ Environment) (err error) {
				o.UsernameHash, err = ring.ParseHashFormat(s)
				return err
			},
		},
		{
			Name: "max-parallel-moves", Value: "N", Default: "100",
			Usage: "users that a flush moves at a time, 10000 at most; SIGHUP applies a new number",
			apply: (*Daemon).applyLimits,
			read: func(o *Options, s string, _ Environment) (err error) {
				if o.MaxParallelMoves, err = parseCount(s); err == nil &&
					o.MaxParallelMoves > api.MaxParallel {
					return fmt.Errorf("%q is too high; the most is %d", s, api.MaxParallel)
				}
				return err
			},
		},
		{
			Name: "max-parallel-kicks", Value: "N", Default: "100",
			Usage: "requests to Dovecot, or kick commands, that run at a time; " +
				"SIGHUP applies a new number",
			apply: func(d *Daemon, fresh Options) bool {
				d.sessions.kicksAtATime(fresh.MaxParallelKicks)
				return true
			},
			read: func(o *Options, s string, _ Environment) (err error) {
				o.MaxParallelKicks, err = parseCount(s)
				return err
			},
		},
		{
			Name:    "kick-command",
			shown:   programOnly,
			Value:   "COMMAND",
			Default: "",
			Usage:   "program that ends a user's sessions (default: none)",
			read: func(o *Options, s string, _ Environment) error {
				o.KickCommand = s
				if s == "" {
					return nil
				}
				_, err := kick.NewCommand(s, kick.NewTurns(1))
				return err
			},
		},
		{
			Name: "encrypt-key-file", Value: "FILE", Default: "", Usage: "keys of the mesh, " +
				"32 bytes in base64 a line, the first one encrypts until keys are rotated; " +
				"SIGHUP reads them again " +
				"(default: no encryption)",
			apply:  (*Daemon).applyKeys,
			differ: func(before, after Options) bool { return !sameKeys(before.Keys, after.Keys) },
			read: func(o *Options, s string, env Environment) (err error) {
				if s == "" {
					return nil
				}
				if err := checkKeyFile(s, env); err != nil {
					return err
				}
				o.Keys, err = readKeys(s, env)
				o.ReadKeys = func() ([][]byte, error) {
					if err := checkKeyFile(s, env); err != nil {
						return nil, err
					}
					return readKeys(s, env)
				}
				return err
			},
		},
		{
			Name:    "serve-alone",
			Value:   "yes|no",
			Default: "no",
			Switch:  true,
			Usage: "serve users although a director to join has another key, mesh name, " +
				"version or setting that must be the same: users may then be on two backends",
			read: func(o *Options, s string, _ Environment) (err error) {
				o.ServeAlone, err = yesOrNo(s)
				return err
			},
		},
		{
			Name:    "insecure",
			Value:   "yes|no",
			Default: "no",
			Switch:  true,
			Usage: "let the mesh listen on public addresses without a key: " +
				"any host that reaches them may change everything",
			read: func(o *Options, s string, _ Environment) (err error) {
				o.Insecure, err = yesOrNo(s)
				return err
			},
		},
		{
			Name: "data-dir", Value: "DIR", Default: "",
			Usage: "directory that keeps the table and the users over restarts of all " +
				"directors at once; made if only its last part is missing (default: none)",
			read: func(o *Options, s string, _ Environment) error {
				o.DataDir = s
				return nil
			},
		},
		{
			Name: "data-dir-damaged", Value: "refuse|continue", Default: "refuse",
			Usage: "what to do when --data-dir has lost something and no peer has it: " +
				"wait for one, or go on with what is left",
			read: func(o *Options, s string, _ Environment) error {
				o.DataDamaged = s == "continue"
				if s != "refuse" && s != "continue" {
					return fmt.Errorf("%q is not refuse or continue", s)
				}
				return nil
			},
		},
		{
			Name: "history-size", Value: "BYTES", Default: "256M",
			Usage: "room for the history in --data-dir, at least 1M; the oldest is dropped",
			read: func(o *Options, s string, _ Environment) (err error) {
				if o.HistoryBytes, err = parseBytes(s); err == nil &&
					o.HistoryBytes < history.MinBytes {
					return fmt.Errorf("%q is too low; the least is 1M", s)
				}
				return err
			},
		},
		{
			Name: "history-age", Value: "DURATION", Default: "30 days",
			Usage: "how old the history gets, at least 1h",
			read: func(o *Options, s string, _ Environment) (err error) {
				if o.HistoryAge, err = parseDuration(s); err == nil &&
					o.HistoryAge < history.MinAge {
					return fmt.Errorf("%q is too low; the least is 1h", s)
				}
				return err
			},
		},
		{
			Name: "log-level", Value: "LEVEL", Default: "info",
			Usage: "debug, info, warn or error; SIGHUP applies a new one",
			apply: func(d *Daemon, fresh Options) bool {
				d.level.set(fresh.LogLevel)
				return true
			},
			read: func(o *Options, s string, _ Environment) error {
				switch s {
				case "debug", "info", "warn", "error":
				default:
					return fmt.Errorf("%q is not debug, info, warn or error", s)
				}
				level, err := zerolog.ParseLevel(s)
				o.LogLevel = level
				return err
			},
		},
		{
			Name: "log-format", Value: "FORMAT", Default: "json",
			Usage: "json, or text for reading",
			read: func(o *Options, s string, _ Environment) error {
				if s != "json" && s != "text" {
					return fmt.Errorf("%q is not json or text", s)
				}
				o.LogText = s == "text"
				return nil
			},
		},
		{
			Name: "run-dir", Value: "DIR", Default: "/run/director",
			Usage: "directory of the sockets",
			read: func(o *Options, s string, _ Environment) error {
				if o.RunDir = s; s == "" {
					return errors.New("is empty; name a directory")
				}
				if path := o.SocketPath(); len(path) > maxSocketPath {
					return fmt.Errorf("%q makes a socket path of %d bytes; the most is %d",
						s, len(path), maxSocketPath)
				}
				return nil
			},
		},
	}
}
