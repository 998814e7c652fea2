"""Pictures made by arithmetic: noise, terrain, vector drawing, light. No photograph and no licence is involved."""
