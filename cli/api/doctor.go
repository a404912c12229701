package api

// Checkup answers GET /v1/doctor: what is wrong with the mesh and with the hosts of its directors.
type Checkup struct {
	Verdict   string            `json:"verdict"` // healthy, or as bad as the worst finding
	Findings  []Finding         `json:"findings"`
	Directors []CheckedDirector `json:"directors"` // by name
}

// Finding is one thing that is wrong, and what to do about it.
type Finding struct {
	Code     string `json:"code"`     // a word for it, the same whatever it is about
	Severity string `json:"severity"` // warning or problem
	Director string `json:"director"` // that it is about; "": the mesh
	Found    string `json:"found"`
	Advice   string `json:"advice"`
}

// CheckedDirector is a director that was asked.
type CheckedDirector struct {
	Name    string `json:"name"`
	Version string `json:"version"` // "" if it did not answer
	Error   string `json:"error"`   // why it did not answer; "" if it did
}

// The verdicts; all but the first are severities of findings too.
const (
	VerdictHealthy = "healthy"
	VerdictWarning = "warning"
	VerdictProblem = "problem"
)
