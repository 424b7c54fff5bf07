package embedded

import _ "embed"

//go:embed manifest_linux_arm64.txt
var manifestText string
