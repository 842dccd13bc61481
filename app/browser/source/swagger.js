import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';
import 'swagger-ui-dist/swagger-ui.css';
import './page.css';

SwaggerUI({
  domNode: document.getElementById('page'),
  url: '/openapi.json',
  deepLinking: true,
  docExpansion: 'none',
  filter: true,
  // Absent, Swagger UI sends the document to a validator on another host.
  validatorUrl: null,
});

const dark = matchMedia('(prefers-color-scheme: dark)');
const followSystem = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', followSystem);
followSystem();
