package daemon

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"directormesh/cli/door/webauth"
	"directormesh/cli/handover"
)

// accessSettings are those of --http for others than users of this host.
func accessSettings() []Setting {
	return []Setting{
		{
			Name: "web-config-file", Value: "FILE", Default: "",
			Usage: "serve --http over TLS, at any address, to the users and certificates of this " +
				"file, which has the format of Prometheus' exporters (default: no)",
			read: func(o *Options, s string, env Environment) error {
				if o.WebConfigFile = s; s == "" {
					return nil
				}
				policy, err := webauth.Read(s, env.ReadFile)
				if err != nil {
					return err
				}
				if err := checkSecretFile(s, "give new passwords", env); err != nil {
					return err
				}
				return checkKeyFile(policy.KeyFile(), env)
			},
		},
		namesSetting("http-readers", "ask queries over HTTPS",
			func(o *Options) *[]string { return &o.Rights.Readers }),
		namesSetting("http-admins", "look users up and change everything over HTTPS",
			func(o *Options) *[]string { return &o.Rights.Admins }),
		{
			Name: "http-hosts", Value: "HOST[:PORT],…", Default: "", joint: ",",
			apply: (*Daemon).applyRights,
			Usage: "hosts in the URLs of those who make changes over HTTPS, others are refused; " +
				"SIGHUP applies new ones",
			read: func(o *Options, s string, _ Environment) (err error) {
				o.Rights.Hosts, err = webauth.ParseHosts(s)
				return err
			},
		},
	}
}

func namesSetting(name, may string, field func(*Options) *[]string) Setting {
	return Setting{
		Name: name, Value: "NAME,…", Default: "", joint: ",", apply: (*Daemon).applyRights,
		Usage: "who may " + may + ": user:NAME of --web-config-file, or cert:NAME, an " +
			"alternative name of a certificate; SIGHUP applies new ones",
		read: func(o *Options, s string, _ Environment) (err error) {
			*field(o), err = webauth.ParseNames(s)
			return err
		},
	}
}

// checkAccess refuses settings that would let others than users of this host ask without a check,
// or that could have no effect.
func checkAccess(o Options) []Problem {
	var problems []Problem
	problem := func(setting string, err error) {
		problems = append(problems, Problem{Setting: setting, Err: err})
	}
	if o.WebConfigFile != "" {
		if len(o.Rights.Admins) > 0 && len(o.Rights.Hosts) == 0 {
			problem("http-hosts", errors.New(
				"is empty, so admins can change nothing; name the hosts in the URLs that they use"))
		}
		return problems
	}
	if at := o.Doors[handover.HTTP].TCP; checkAddress(at) == nil {
		if err := checkLoopback(at); err != nil {
			problem("http", fmt.Errorf("%w, or give --web-config-file", err))
		}
	}
	const nobody = "nobody can prove a name without --web-config-file; give one"
	if len(o.Rights.Readers) > 0 {
		problem("http-readers", errors.New(nobody))
	}
	if len(o.Rights.Admins) > 0 {
		problem("http-admins", errors.New(nobody))
	}
	return problems
}

// newGate returns what decides who asks over HTTPS, nil without a web configuration file.
func newGate(d *Daemon, registry *prometheus.Registry) (*webauth.Gate, error) {
	if d.options.WebConfigFile == "" {
		return nil, nil
	}
	gate, err := webauth.New(webauth.Config{
		Path: d.options.WebConfigFile, ReadFile: os.ReadFile, Rights: d.options.Rights,
		Log: d.log, Registerer: registry, Now: time.Now, Random: rand.Reader,
		// Passwords of strangers must leave processors for lookups.
		AtOnce: runtime.GOMAXPROCS(0) / 4,
	})
	if err != nil {
		return nil, &ConfigError{Problems: []Problem{{Setting: "web-config-file", Err: err}}}
	}
	return gate, nil
}

// applyRights gives the gate other rights.
func (d *Daemon) applyRights(fresh Options) bool {
	if d.gate != nil {
		d.gate.SetRights(fresh.Rights)
	}
	return true
}
