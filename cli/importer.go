package cli

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"directormesh/cli/api"
	"directormesh/cli/door/doveadm"
	"directormesh/ring"
)

// importer takes over what another director has. Each run looks at all of it.
type importer struct {
	client *api.Client
	from   string
	show   *importProgress
	remark func(format string, args ...any)

	// taken are the users as the mesh has got them from earlier runs, so that only changes are sent
	// again; nil if there will be one run only.
	taken map[importedUser]importedTo
	// seen are the backends that the other director has had: only of those does a remove there mean
	// a remove here.
	seen   map[netip.Addr]bool
	warned map[string]bool // remarks are made once
}

// importedUser and importedTo are small: there may be millions.
type importedUser struct {
	tag  ring.Tag
	hash ring.UserHash
}

type importedTo struct {
	backend netip.Addr
	expires int64 // Unix seconds
}

// importResult tells what one run has done.
type importResult struct {
	Backends int      `json:"backends"`
	Changes  []string `json:"changes"` // of backends
	Mappings int      `json:"mappings"`
	Taken    int      `json:"taken"`    // by the mesh in this run, or had by it already
	Refused  int      `json:"refused"`  // expired on the way, or their users are being moved
	Homeless int      `json:"homeless"` // on backends that the other director does not list

	// NotKept are directors that did not have it on their disks when the run ended; KeptByNone says
	// that these are all that have a data directory.
	NotKept    []string `json:"not_kept"`
	KeptByNone bool     `json:"kept_by_none"`

	unchanged int // since the last run
}

func (r importResult) String() string {
	text := fmt.Sprintf("%d backends, %d mappings: ", r.Backends, r.Mappings)
	switch {
	case r.unchanged > 0:
		text += fmt.Sprintf("%d changed", r.Taken)
	case r.Taken == r.Mappings:
		text += "all taken"
	default:
		text += fmt.Sprintf("%d taken", r.Taken)
	}
	if r.Refused > 0 {
		text += fmt.Sprintf(", %d expired on the way or being moved", r.Refused)
	}
	if r.Homeless > 0 {
		text += fmt.Sprintf(", %d on backends that are not listed", r.Homeless)
	}
	for _, change := range r.Changes {
		text += "; " + change
	}
	if len(r.NotKept) > 0 && !r.KeptByNone {
		text += "; not yet on the disk of " + someOf(r.NotKept)
	}
	return text
}

// run imports everything once.
func (i *importer) run(ctx context.Context) (importResult, error) {
	source, err := doveadm.Dial(ctx, i.from)
	if err != nil {
		return importResult{}, i.explain(ctx, err)
	}
	defer source.Close()
	theirs, err := source.Backends()
	if err != nil {
		return importResult{}, i.explain(ctx, err)
	}
	r := importResult{Backends: len(theirs), Changes: []string{}, NotKept: []string{}}
	if err := i.takeBackends(ctx, theirs, &r); err != nil {
		return r, err
	}
	return r, i.takeUsers(ctx, source, theirs, &r)
}

func (i *importer) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return sourceError(i.from, err)
}

// takeBackends makes the mesh's table like the other director's.
func (i *importer) takeBackends(ctx context.Context, theirs []api.Backend, r *importResult) error {
	ours, err := i.client.Backends(ctx)
	if err != nil {
		return err
	}
	changes, extra, err := plannedOperations(theirs, ours.Backends, i.seen)
	if err != nil {
		return err
	}
	for _, change := range changes {
		if _, err := i.client.Do(ctx, change.op); err != nil {
			return fmt.Errorf("%s: %w", change.text, err)
		}
		r.Changes = append(r.Changes, change.text)
	}
	for _, ip := range extra {
		i.warn("%[1]s is a backend of the mesh, but not of the other director; "+
			"if it should not get users: director remove %[1]s", ip)
	}
	i.seen = make(map[netip.Addr]bool, len(theirs))
	for _, b := range theirs {
		i.seen[b.IP.Addr] = true
	}
	return nil
}

// warn makes a remark once.
func (i *importer) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if i.warned[text] {
		return
	}
	if i.warned == nil {
		i.warned = make(map[string]bool)
	}
	i.warned[text] = true
	i.remark("Warning: %s", text)
}

// takeUsers hands the mappings to the mesh, many at a time.
func (i *importer) takeUsers(
	ctx context.Context, source *doveadm.Client, theirs []api.Backend, r *importResult,
) error {
	self, err := i.client.Self(ctx)
	if err != nil {
		return err
	}
	tags := make(map[netip.Addr]string, len(theirs))
	total := 0
	for _, b := range theirs {
		tags[b.IP.Addr] = b.Tag
		total += b.Users
	}
	i.show.begin(total)
	defer i.show.end()
	p := &importPass{importer: i, result: r}
	if i.taken != nil {
		p.next = make(map[importedUser]importedTo, len(i.taken))
	}
	var refused error // by the mesh
	err = source.Users(func(u doveadm.User) error {
		tag, ok := tags[u.Backend.Addr]
		if refused = p.add(ctx, u, tag, ok); refused != nil {
			return refused
		}
		i.show.done(r.Mappings)
		return nil
	})
	if refused != nil {
		return refused
	}
	if err != nil {
		return i.explain(ctx, err)
	}
	if err := p.send(ctx); err != nil {
		return err
	}
	if err := p.keep(ctx); err != nil {
		return err
	}
	i.taken = p.next
	expire := time.Duration(self.UserExpireMS) * time.Millisecond
	if time.Until(p.latest) > expire+2*time.Second {
		i.warn("users of the other director live for %v or more, those of the mesh for %v; "+
			"give all directors its director_user_expire as --user-expire",
			time.Until(p.latest).Round(time.Second), expire)
	}
	return nil
}

// importPass is one run through the users.
type importPass struct {
	*importer
	result *importResult
	part   []api.ImportedMapping
	next   map[importedUser]importedTo // what taken will be; nil if there is no next run
	latest time.Time                   // at which a user expires
}

// add takes one user, whose backend is listed under a tag or not at all.
func (p *importPass) add(ctx context.Context, u doveadm.User, tag string, listed bool) error {
	p.result.Mappings++
	if !listed {
		p.result.Homeless++
		return nil
	}
	if u.ExpiresAt.After(p.latest) {
		p.latest = u.ExpiresAt
	}
	if p.next != nil {
		key := importedUser{ring.Tag(tag), u.Hash}
		to := importedTo{u.Backend.Addr, u.ExpiresAt.Unix()}
		if p.taken[key] == to {
			p.next[key] = to
			p.result.unchanged++
			return nil
		}
	}
	p.part = append(p.part, api.ImportedMapping{
		Tag: tag, UserHash: uint32(u.Hash), Backend: u.Backend, ExpiresAt: u.ExpiresAt,
	})
	if len(p.part) < api.MaxImport {
		return nil
	}
	return p.send(ctx)
}

// send hands a batch to the mesh. If it does not take all, nobody knows which, so all will be sent
// again.
func (p *importPass) send(ctx context.Context) error {
	if len(p.part) == 0 {
		return nil
	}
	outcome, err := p.client.Do(ctx, api.ImportMappings{Mappings: p.part})
	if err != nil {
		return err
	}
	p.result.Taken += outcome.Count
	p.result.Refused += len(p.part) - outcome.Count
	if p.next != nil && outcome.Count == len(p.part) {
		for _, m := range p.part {
			p.next[importedUser{ring.Tag(m.Tag), ring.UserHash(m.UserHash)}] = importedTo{
				m.Backend.Addr, m.ExpiresAt.Unix(),
			}
		}
	}
	p.part = p.part[:0]
	return nil
}

// keep waits until what was taken is on the disks of the mesh.
func (p *importPass) keep(ctx context.Context) error {
	if p.result.Taken == 0 && len(p.result.Changes) == 0 {
		return nil
	}
	outcome, err := p.client.Do(ctx, api.ImportMappings{
		Mappings: []api.ImportedMapping{}, Keep: true,
	})
	if err != nil {
		return err
	}
	p.result.NotKept = append(p.result.NotKept, outcome.NotKept...)
	p.result.KeptByNone = outcome.KeptByNone
	return nil
}

// plannedOperation is a change with what to say of it.
type plannedOperation struct {
	op   api.Operation
	text string
}

// plannedOperations returns what makes our backends like theirs, and the backends that only we
// have. Backends that they had before and have no more are removed. A tag cannot be changed.
func plannedOperations(theirs, ours []api.Backend, before map[netip.Addr]bool) (
	changes []plannedOperation, extra []api.IP, err error,
) {
	have := make(map[netip.Addr]api.Backend, len(ours))
	for _, b := range ours {
		have[b.IP.Addr] = b
	}
	listed := make(map[netip.Addr]bool, len(theirs))
	change := func(op api.Operation, format string, args ...any) {
		changes = append(changes, plannedOperation{op, fmt.Sprintf(format, args...)})
	}
	for _, b := range theirs {
		if listed[b.IP.Addr] {
			continue // Dovecot lists an address twice if it is configured twice
		}
		listed[b.IP.Addr] = true
		mine, ok := have[b.IP.Addr]
		switch {
		case !ok:
			mine.State = api.StateUp // as it will be once added
			change(api.AddBackend{IP: b.IP, Tag: &b.Tag, VHosts: &b.VHosts}, "added %s",
				strings.TrimSuffix(b.IP.String()+"@"+b.Tag, "@"))
		case mine.Tag != b.Tag:
			return nil, nil, exitf(exitNotPossible, "backend %[1]s has tag %[2]q in the mesh and "+
				"%[3]q at the other director; remove it from the mesh first: director remove %[1]s",
				b.IP, mine.Tag, b.Tag)
		case mine.VHosts != b.VHosts:
			change(api.UpdateBackend{IP: b.IP, VHosts: b.VHosts}, "updated %s", b.IP)
		}
		switch {
		case mine.State == b.State:
		case b.State == api.StateDown:
			change(api.BackendDown{IP: b.IP}, "took %s down", b.IP)
		default:
			change(api.BackendUp{IP: b.IP}, "took %s up", b.IP)
		}
	}
	for _, b := range ours {
		switch {
		case listed[b.IP.Addr]:
		case before[b.IP.Addr]:
			change(api.RemoveBackend{IP: b.IP}, "removed %s", b.IP)
		default:
			extra = append(extra, b.IP)
		}
	}
	return changes, extra, nil
}
