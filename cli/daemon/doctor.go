package daemon

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/doctor"
	"directormesh/cli/dovecot"
	"directormesh/cli/handover"
	"directormesh/mesh"
)

// comparedSettings should be the same at all directors: any of them may act for all. Those that
// must be the same are compared when directors meet.
var comparedSettings = [...]string{
	"user-kick-delay", "max-parallel-moves", "health-check", "event-kinds", "resolve-every",
	"slow-start",
}

// tablesAgree is after which time tables are compared again: a change may be on its way.
const tablesAgree = time.Second

// doveconfTime bounds one question to doveconf in a report.
const doveconfTime = 2 * time.Second

// reportNode is what a report needs of a node.
type reportNode interface {
	node
	TableDigest() string
}

// report is what this director says of itself.
func (d *director) report(ctx context.Context, n reportNode, host doctor.Host) doctor.Report {
	self := d.Self()
	r := doctor.Report{
		Name: self.Name, Version: self.Version, Synced: self.Synced, Alone: self.Alone,
		Reason: self.Reason, Changing: self.Changing, Table: n.TableDigest(),
		Unheard: []string{},
	}
	for _, p := range n.Peers() {
		switch {
		case p.Self:
			r.ClockOff = p.Offset
			if self.Synced && !self.Alone {
				host.OwnAddress = p.Reason
			}
		case p.Name == "", p.Left, p.Removed:
		case !p.Reachable, !p.SilentSince.IsZero():
			r.Unheard = append(r.Unheard, p.Name)
		}
	}
	for _, name := range comparedSettings {
		r.Settings = append(r.Settings, doctor.Value{Name: name, Value: d.value(name)})
	}
	r.Findings = host.Findings(ctx)
	return r
}

// askDoveconf asks the Dovecot of this host, for not so long that the other directors wait for it.
func askDoveconf(ctx context.Context, setting string, filter ...string) string {
	ctx, cancel := context.WithTimeout(ctx, doveconfTime)
	defer cancel()
	return dovecot.Doveconf(ctx, os.LookupEnv, setting, filter...)
}

// host is what this director knows of its host.
func (d *Daemon) host() doctor.Host {
	o := d.director.options // which a reload leaves alone
	h := doctor.Host{
		Name: o.NodeName, NoKicker: d.director.noKicker, DataDir: o.DataDir,
		Login: o.Socket(handover.Login) != "", Userdb: o.Socket(handover.Userdb) != "",
		HashFormat: o.UsernameHash.String(), Doveconf: askDoveconf,
	}
	if data := d.node.Data(); data.Problem != nil {
		h.DataProblem = api.Cause(data.Problem)
	}
	if limit, err := descriptorLimit(); err == nil {
		h.Descriptors = limit
	}
	// Where the directory of auth's socket is missing there is no Dovecot on this host.
	dovecotHere := func(auth string) bool {
		info, err := os.Stat(filepath.Dir(auth))
		return auth != "" && err == nil && info.IsDir()
	}
	for _, auth := range []string{o.Auth.AuthLoginSocket, o.Auth.AuthUserdbSocket} {
		if dovecotHere(auth) {
			h.Auths = append(h.Auths, auth)
		}
	}
	for _, s := range d.sockets {
		// LMTP, which uses the userdb door, connects as root.
		if s.kind == handover.Login && s.listener != nil &&
			s.listener.Addr().Network() == "unix" && dovecotHere(o.Auth.AuthLoginSocket) {
			h.Sockets = append(h.Sockets, doctor.Socket{
				Path: s.listener.Addr().String(), User: "dovenull",
				Setting: doorOf(s.kind).unix.setting,
			})
		}
	}
	for _, socket := range []string{o.Sessions.IPC, o.Sessions.Anvil} {
		if socket != "" {
			h.FIFOs = append(h.FIFOs, filepath.Join(filepath.Dir(socket), "login", "proxy-notify"),
				filepath.Join(filepath.Dir(socket), "proxy-notify"))
		}
	}
	return h
}

// answerDoctor reports to a director.
func (d *Daemon) answerDoctor(ctx context.Context, _ []byte) ([]byte, error) {
	return json.Marshal(d.director.report(ctx, d.node, d.host()))
}

// Doctor implements httpapi.Director.
func (d *director) Doctor(ctx context.Context) (api.Checkup, error) {
	reports, silent, out := d.askReports(ctx)
	if found := doctor.Mesh(reports, nil, doctor.Seen{}); slices.ContainsFunc(found,
		func(f api.Finding) bool { return f.Code == "tables" }) {
		select {
		case <-time.After(tablesAgree):
		case <-ctx.Done():
		}
		reports, silent, out = d.askReports(ctx)
	}
	out.Findings = append(out.Findings,
		doctor.Mesh(reports, silent, doctor.Seen{
			Keys: d.Keys(), Health: d.Health(), Names: d.Names(),
		})...)
	for i := range out.Findings { // some of it comes from other directors
		f := &out.Findings[i]
		f.Found, f.Advice = api.Visible(f.Found), api.Visible(f.Advice)
	}
	out.Verdict = doctor.Verdict(out.Findings)
	return out, nil
}

func (d *director) askReports(
	ctx context.Context,
) (reports []doctor.Report, silent []doctor.Silent, out api.Checkup) {
	out = api.Checkup{Findings: []api.Finding{}, Directors: []api.CheckedDirector{}}
	for _, a := range d.node.Ask(ctx, doctor.Topic, nil) {
		r, err := readReport(a)
		shown := api.CheckedDirector{Name: a.Director, Version: api.Visible(r.Version)}
		if err != nil {
			shown.Error = api.Cause(err)
			silent = append(silent, doctor.Silent{Name: a.Director, Why: shown.Error})
		} else {
			r.Name = a.Director
			reports = append(reports, r)
		}
		out.Directors = append(out.Directors, shown)
	}
	return reports, silent, out
}

func readReport(a mesh.Answer) (r doctor.Report, err error) {
	if a.Err != nil {
		return r, a.Err
	}
	if err := json.Unmarshal(a.Body, &r); err != nil {
		return doctor.Report{}, fmt.Errorf("its report cannot be read")
	}
	return r, nil
}
