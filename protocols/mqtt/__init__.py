"""The MQTT driver: plain JSON topics and Sparkplug B."""
