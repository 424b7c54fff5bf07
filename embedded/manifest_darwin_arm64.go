package embedded

import _ "embed"

//go:embed manifest_darwin_arm64.txt
var manifestText string
