package api

// Settings answers GET /v1/settings.
type Settings struct {
	Settings []SettingValue `json:"settings"` // in the order of the help
}

// SettingValue is a setting as it was read, without what may be secret.
type SettingValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Set   bool   `json:"set"` // it is not the default
}
