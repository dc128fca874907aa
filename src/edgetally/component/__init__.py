"""The Greengrass component: what it is built from, and how it comes to devices."""
