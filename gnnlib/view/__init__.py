"""What a person sees: scenes (renderer-free), the WebGL canvas, charts and exports."""
