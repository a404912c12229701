package api

import (
	"strconv"
	"strings"

	"directormesh/ring"
)

// The methods of the operations, type by type.

func needs(ip IP, field string) error {
	if !ip.IsValid() {
		return Errorf(CodeBadRequest, "%s is missing", field)
	}
	return nil
}

// ofBackend describes an operation on one backend, or on all.
func ofBackend(action string, ip IP, more ...Field) Description {
	backend := "all"
	if ip.IsValid() {
		backend = ip.String()
	}
	return Description{action, append([]Field{{"backend", backend}}, more...)}
}

func tagField(tag *string) []Field {
	if tag == nil {
		return nil
	}
	return []Field{{"tag", *tag}}
}

// MaxSlowStartMS is over how long a backend may get its whole share: a day.
const MaxSlowStartMS int64 = 24 * 3_600_000

// checkComing checks an operation that may bring a backend into use.
func checkComing(ip IP, slowStartMS *int64) error {
	if slowStartMS != nil && (*slowStartMS < 0 || *slowStartMS > MaxSlowStartMS) {
		return Errorf(CodeBadRequest, "slow_start_ms is %d; give a number from 0 to %d",
			*slowStartMS, MaxSlowStartMS)
	}
	return needs(ip, "ip")
}

func slowStartField(ms *int64) []Field {
	if ms == nil {
		return nil
	}
	return []Field{{"slow_start_ms", int(*ms)}}
}

// Path implements Operation.
func (AddBackend) Path() string { return "/v1/backends/add" }

// Check implements Operation.
func (o AddBackend) Check() error { return checkComing(o.IP, o.SlowStartMS) }

// Describe implements Operation.
func (o AddBackend) Describe(func(string) ring.UserHash) Description {
	more := tagField(o.Tag)
	if o.VHosts != nil {
		more = append(more, Field{"vhosts", *o.VHosts})
	}
	if o.Standby != nil {
		more = append(more, Field{"standby", strconv.FormatBool(*o.Standby)})
	}
	return ofBackend("add", o.IP, append(more, slowStartField(o.SlowStartMS)...)...)
}

// Path implements Operation.
func (UpdateBackend) Path() string { return "/v1/backends/update" }

// Check implements Operation.
func (o UpdateBackend) Check() error { return checkComing(o.IP, o.SlowStartMS) }

// Describe implements Operation.
func (o UpdateBackend) Describe(func(string) ring.UserHash) Description {
	more := append(tagField(o.Tag), Field{"vhosts", o.VHosts})
	return ofBackend("update", o.IP, append(more, slowStartField(o.SlowStartMS)...)...)
}

// Path implements Operation.
func (RemoveBackend) Path() string { return "/v1/backends/remove" }

// Check implements Operation.
func (o RemoveBackend) Check() error { return needs(o.IP, "ip") }

// Describe implements Operation.
func (o RemoveBackend) Describe(func(string) ring.UserHash) Description {
	return ofBackend("remove", o.IP)
}

// Path implements Operation.
func (BackendUp) Path() string { return "/v1/backends/up" }

// Check implements Operation.
func (o BackendUp) Check() error { return checkComing(o.IP, o.SlowStartMS) }

// Describe implements Operation.
func (o BackendUp) Describe(func(string) ring.UserHash) Description {
	return ofBackend("up", o.IP, slowStartField(o.SlowStartMS)...)
}

// Path implements Operation.
func (BackendDown) Path() string { return "/v1/backends/down" }

// Check implements Operation.
func (o BackendDown) Check() error { return needs(o.IP, "ip") }

// Describe implements Operation.
func (o BackendDown) Describe(func(string) ring.UserHash) Description {
	return ofBackend("down", o.IP)
}

// Path implements Operation.
func (Move) Path() string { return "/v1/moves" }

// Check implements Operation.
func (o Move) Check() error {
	if (o.User == "") == (o.UserHash == nil) {
		return Errorf(CodeBadRequest, "give either user or user_hash")
	}
	return needs(o.Backend, "backend")
}

// Describe implements Operation.
func (o Move) Describe(hash func(user string) ring.UserHash) Description {
	var moved uint32
	if o.UserHash != nil {
		moved = *o.UserHash
	} else {
		moved = uint32(hash(o.User))
	}
	return ofBackend("move", o.Backend, Field{"user_hash", moved})
}

// Path implements Operation.
func (KickUser) Path() string { return "/v1/kicks" }

// Check implements Operation.
func (o KickUser) Check() error {
	if o.User == "" {
		return Errorf(CodeBadRequest, "user is missing")
	}
	return nil
}

// Describe implements Operation.
func (o KickUser) Describe(hash func(user string) ring.UserHash) Description {
	if o.Field != "" { // the value may be a name
		return Description{"kick", []Field{{"field", o.Field}}}
	}
	return Description{"kick", []Field{{"user_hash", uint32(hash(o.User))}}}
}

// Path implements Operation.
func (FlushUsers) Path() string { return "/v1/flushes" }

// Check implements Operation.
func (o FlushUsers) Check() error {
	return checkParallel(o.MaxParallel)
}

// Describe implements Operation.
func (o FlushUsers) Describe(func(string) ring.UserHash) Description {
	return ofBackend("flush", o.Backend, Field{"max_parallel", o.MaxParallel})
}

// Path implements Operation.
func (CancelFlush) Path() string { return "/v1/flushes/cancel" }

// Check implements Operation.
func (CancelFlush) Check() error { return nil }

// Describe implements Operation.
func (o CancelFlush) Describe(func(string) ring.UserHash) Description {
	return ofBackend("cancel flush", o.Backend)
}

// Path implements Operation.
func (Forget) Path() string { return "/v1/mappings/forget" }

// Check implements Operation.
func (Forget) Check() error { return nil }

// Describe implements Operation.
func (o Forget) Describe(func(string) ring.UserHash) Description {
	return ofBackend("forget", o.Backend)
}

// checkDirector checks by what a director is named.
func checkDirector(ip IP, port int, name string) error {
	switch {
	case port < 0 || port > 65535:
		return Errorf(CodeBadRequest, "port %d is not from 1 to 65535", port)
	case ip.IsValid() == (name != ""):
		return Errorf(CodeBadRequest, "give either ip or name")
	case name != "" && port != 0:
		return Errorf(CodeBadRequest, "port goes with ip, not with name")
	}
	return nil
}

func ofDirector(action string, ip IP, port int, name string) Description {
	if name != "" {
		return Description{action, []Field{{"peer", name}}}
	}
	return Description{action, []Field{{"peer", ip.String()}, {"port", port}}}
}

// Path implements Operation.
func (AddDirector) Path() string { return "/v1/directors/add" }

// Check implements Operation.
func (o AddDirector) Check() error { return checkDirector(o.IP, o.Port, o.Name) }

// Describe implements Operation.
func (o AddDirector) Describe(func(string) ring.UserHash) Description {
	return ofDirector("ring add", o.IP, o.Port, o.Name)
}

// Path implements Operation.
func (RemoveDirector) Path() string { return "/v1/directors/remove" }

// Check implements Operation.
func (o RemoveDirector) Check() error { return checkDirector(o.IP, o.Port, o.Name) }

// Describe implements Operation.
func (o RemoveDirector) Describe(func(string) ring.UserHash) Description {
	return ofDirector("ring remove", o.IP, o.Port, o.Name)
}

// Path implements Operation.
func (ImportMappings) Path() string { return "/v1/mappings/import" }

// Check implements Operation.
func (o ImportMappings) Check() error {
	if len(o.Mappings) > MaxImport {
		return Errorf(CodeBadRequest, "%d mappings are too many at once; send at most %d",
			len(o.Mappings), MaxImport)
	}
	for i, m := range o.Mappings {
		if !m.Backend.IsValid() || m.ExpiresAt.IsZero() {
			return Errorf(CodeBadRequest, "mapping %d has no backend or no expires_at", i+1)
		}
	}
	return nil
}

// Describe implements Operation.
func (o ImportMappings) Describe(func(string) ring.UserHash) Description {
	return Description{"import", []Field{{"mappings", len(o.Mappings)}}}
}

// Path implements Operation.
func (AddKey) Path() string { return "/v1/keys/add" }

// Check implements Operation.
func (AddKey) Check() error { return nil }

// Describe implements Operation.
func (AddKey) Describe(func(string) ring.UserHash) Description {
	return Description{"keys add", nil} // the outcome has the id
}

func checkKey(id string) error {
	if id == "" {
		return Errorf(CodeBadRequest, "id is missing; see: director keys list")
	}
	return nil
}

// ofKey describes a change of keys.
func ofKey(action, id string, without []string) Description {
	fields := []Field{}
	if id != "" {
		fields = append(fields, Field{"key", ring.Printable(id)})
	}
	if len(without) > 0 {
		fields = append(fields, Field{"without", ring.Printable(strings.Join(without, " "))})
	}
	return Description{action, fields}
}

// Path implements Operation.
func (UseKey) Path() string { return "/v1/keys/use" }

// Check implements Operation.
func (o UseKey) Check() error { return checkKey(o.ID) }

// Describe implements Operation.
func (o UseKey) Describe(func(string) ring.UserHash) Description {
	return ofKey("keys use", o.ID, o.Without)
}

// Path implements Operation.
func (RemoveKey) Path() string { return "/v1/keys/remove" }

// Check implements Operation.
func (o RemoveKey) Check() error { return checkKey(o.ID) }

// Describe implements Operation.
func (o RemoveKey) Describe(func(string) ring.UserHash) Description {
	return ofKey("keys remove", o.ID, o.Without)
}

// Path implements Operation.
func (RotateKeys) Path() string { return "/v1/keys/rotate" }

// Check implements Operation.
func (RotateKeys) Check() error { return nil }

// Describe implements Operation.
func (o RotateKeys) Describe(func(string) ring.UserHash) Description {
	d := ofKey("keys rotate", "", o.Without)
	if o.FromFile {
		d.Fields = append(d.Fields, Field{"from_file", "yes"})
	}
	return d
}

// Path implements Operation.
func (Reload) Path() string { return "/v1/reload" }

// Check implements Operation.
func (Reload) Check() error { return nil }

// Describe implements Operation.
func (Reload) Describe(func(string) ring.UserHash) Description { return Description{"reload", nil} }
