"""The folder that the Hugging Face Hub, transformers.js and Optimum read (docs/hub.md)."""
