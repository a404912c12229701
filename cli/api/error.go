package api

import (
	"fmt"
	"net/http"
)

// Code says what kind of failure an Error is.
type Code string

// The codes, with the HTTP status that goes with each.
const (
	CodeBadRequest Code = "bad_request" // 400, the request cannot be understood
	CodeForbidden  Code = "forbidden"   // 403
	// 401, nobody knows who asks
	CodeUnauthorized Code = "unauthorized"
	// 429, of wrong passwords from an address, or of connections of somebody
	CodeTooManyRequests Code = "too_many_requests"
	CodeNotFound        Code = "not_found"    // 404, no such backend, director or flush
	CodeTagDiffers      Code = "tag_differs"  // 409, the backend is there under another tag
	CodeVHosts          Code = "vhosts_range" // 400, vhost count not 0 to 1000
	// 409, the user is already being moved, or keys are being changed
	CodeTryAgain Code = "try_again"
	// 409, a director that the change needs is away, or cannot take it; nothing has changed
	CodeNotReady  Code = "not_ready"
	CodeNotSynced Code = "not_synced"        // 503, this director takes no changes yet
	CodeTemporary Code = "temporary_failure" // 503, a lookup got no answer in time
	CodeOvertaken Code = "overtaken"         // 409, a later change holds instead of this one
	// 409, the drain would leave too little
	CodeTooLittleLeft Code = "too_little_left"
	CodeOtherTable    Code = "other_table" // 409, the table is not that of the plan
	CodePinned        Code = "pinned"      // 409, the user is pinned to another backend
	// 504, not every director has confirmed in time, and the change stays; or the change was cut
	// off by a step of mesh time or by another cluster: query what holds
	CodeTimeout      Code = "timeout"
	CodeInternal     Code = "internal"           // 500
	CodeNoSuchMethod Code = "method_not_allowed" // 405
)

// Status returns the HTTP status of responses with this code.
func (c Code) Status() int {
	switch c {
	case CodeBadRequest, CodeVHosts:
		return http.StatusBadRequest
	case CodeForbidden:
		return http.StatusForbidden
	case CodeUnauthorized:
		return http.StatusUnauthorized
	case CodeTooManyRequests:
		return http.StatusTooManyRequests
	case CodeNotFound:
		return http.StatusNotFound
	case CodeNoSuchMethod:
		return http.StatusMethodNotAllowed
	case CodeTagDiffers, CodeTryAgain, CodeNotReady, CodeOvertaken, CodeTooLittleLeft,
		CodeOtherTable, CodePinned:
		return http.StatusConflict
	case CodeNotSynced, CodeTemporary:
		return http.StatusServiceUnavailable
	case CodeTimeout:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// Error is a failure that the director reported.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// Errorf makes an Error.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Failure is the body of a response that reports an Error.
type Failure struct {
	Error *Error `json:"error"`
}

// UnreachableError means that no director answered at an address. Its text says what to do.
type UnreachableError struct {
	Addr string // as the user gave it
	Err  error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot reach director at %s: %s", e.Addr, explain(e.Err))
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// ProtocolError means that something answered that is not a director, or one that speaks otherwise.
type ProtocolError struct {
	Addr   string
	Reason string
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf(
		"what answers at %s is not a director: %s; name a director with -a or DIRECTOR_ADDR",
		e.Addr, e.Reason)
}
